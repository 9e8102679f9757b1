using System.Security.Cryptography;
using System.Text;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Accounts that people link, and take away, meanwhile.</content>
internal sealed partial class SessionTable
{
    /// <summary>Kind of signal: whose account where, hashed, and whether there is one now; it was linked, replaced, taken away or found broken at another replica.</summary>
    public const string AccountSignal = "account";

    private const string Linked = "linked";
    private const string Gone = "gone";

    private int _lookingAtAccounts;

    private void ListenToAccounts()
    {
        _services.Accounts.Changed += change =>
        {
            AccountChanged(change.Key.Equals, (links, upstream) => links.AccountChangedAsync(upstream, change));
            _services.Peers.SignalAll(AccountSignal, $"{HashOf(change.Key)} {(change.IsLinked ? Linked : Gone)}");
        };
        _services.Peers.OnSignal(AccountSignal, id =>
        {
            if (id.Split(' ') is [var hash, var state])
            {
                AccountChanged(key => HashOf(key) == hash, (links, upstream) => links.AccountChangedElsewhereAsync(upstream, isLinked: state == Linked));
            }
        });
        _services.Peers.OnMissed(() =>
        {
            foreach (var session in All)
            {
                session.Links.DoubtAccounts();
            }
        });
    }

    /// <summary>His sessions here end what they have open with the account before, and their clients are told.</summary>
    private void AccountChanged(Func<CredentialKey, bool> isIt, Func<SessionLinks, Upstream, Task> tell)
    {
        foreach (var upstream in _services.Upstreams.All.Where(u => u.NeedsAccount))
        {
            foreach (var session in All.Where(s => s.Server is null || s.Server == upstream.Name))
            {
                if (isIt(Accounts.KeyOf(upstream, session.Principal.Issuer, session.Principal.Subject)))
                {
                    tell(session.Links, upstream).Unawaited(_services.Logger);
                }
            }
        }
    }

    /// <summary>Looks after accounts that were changed where nobody signals it. Part of the heartbeat, once a second; a few at a time.</summary>
    public void LookAtAccounts()
    {
        if (!_services.Upstreams.All.Any(upstream => upstream.NeedsAccount))
        {
            return;
        }

        foreach (var session in All.Where(s => s.Links.HasAccountsToLookAt))
        {
            if (Volatile.Read(ref _lookingAtAccounts) >= ConfirmAtOnce)
            {
                return;
            }

            LookAsync(session).Unawaited(_services.Logger);
        }

        async Task LookAsync(Session session)
        {
            Interlocked.Increment(ref _lookingAtAccounts);
            try
            {
                await session.Links.LookAtAccountsAsync();
            }
            finally
            {
                Interlocked.Decrement(ref _lookingAtAccounts);
            }
        }
    }

    /// <summary>Nobody's name goes into a signal.</summary>
    private static string HashOf(CredentialKey key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{key.Issuer}\n{key.Subject}\n{key.Provider}")));
}
