using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;
using Mooring.Vault;

namespace Mooring.Sessions;

/// <content>
/// Servers that are used with the account of each user. What such a server shows, and the session that it has with the gateway, is of one linking of an account: with another one
/// everything begins anew.
/// </content>
internal sealed partial class SessionLinks
{
    /// <summary>Between a server's fingerprint and the linking of an account in that of a link.</summary>
    private const char OfLinking = '.';

    /// <summary>How long it is relied upon that an account is as it was: what is changed by a process beside the gateway, or while signals are lost, is noticed after that at the latest.</summary>
    private static readonly TimeSpan AccountLooks = TimeSpan.FromMinutes(1);

    private long _accountsLookedAt = services.Time.GetTimestamp();
    private volatile bool _doubtsAccounts;

    /// <summary>How often an account was found to be another one, or none; under the gate.</summary>
    private long _accountChanges;

    /// <summary>
    /// The person has another account for a server by now, or none: what is open there ends, what it said and showed is forgotten, and the client is told. With another account it
    /// begins anew.
    /// </summary>
    /// <param name="upstream">The server.</param>
    /// <param name="change">What became of it. What was opened since with the account of now is not given up for it.</param>
    public Task AccountChangedAsync(Upstream upstream, AccountChange change)
    {
        bool ends;
        lock (_gate)
        {
            ends = change.Ends(LinkingLocked(upstream));
        }

        // What is neither of the account before nor of that of now: another change of it was missed, or is on its way.
        return ends ? BeginAnewAsync(upstream, change.IsLinked, isFirst: true, change.Ends) : LookAtAccountAsync(upstream, mayBeNews: false);
    }

    /// <summary>As <see cref="AccountChangedAsync"/>, where another replica said so.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="isLinked">Whether there is an account that can be used.</param>
    public Task AccountChangedElsewhereAsync(Upstream upstream, bool isLinked) => LookAtAccountAsync(upstream, mayBeNews: isLinked);

    /// <param name="upstream">The server.</param>
    /// <param name="isLinked">Whether there is an account that can be used.</param>
    /// <param name="isFirst">Whether this replica is the first to know: what is kept is its to forget, and a new link its to open.</param>
    /// <param name="isStill">Whether nobody has seen to it meanwhile, by the linking that the server is used with.</param>
    private async Task BeginAnewAsync(Upstream upstream, bool isLinked, bool isFirst, Func<string?, bool> isStill)
    {
        Slot? old;
        Link? link;
        bool wasKept;
        lock (_gate)
        {
            if (_disposed || !isStill(LinkingLocked(upstream)))
            {
                return;
            }

            _accountChanges++;
            old = _slots?.Find(slot => ReferenceEquals(slot.Upstream, upstream));
            link = old?.Link;
            wasKept = _known.Any(record => record.Server == upstream.Name) || old is { IsSaved: true };
            _known = [.. _known.Where(record => record.Server != upstream.Name)];
            if (old is not null)
            {
                // Before anything is forgotten: what still comes in on the old link counts no more.
                old.Authorizer?.End();
                old.Link = null;
                _slots!.Remove(old);
            }

            if (wasKept && isFirst)
            {
                SlotLocked(upstream).Keeping = ForgetKeptAsync(old?.Keeping ?? Task.CompletedTask, upstream);
            }
        }

        // What another replica opened is to be had from here too.
        var wasShown = session.Lists.Of(upstream) is not null || link is not null || (isLinked && !isFirst);
        session.Lists.Drop([upstream]);
        if (link is not null)
        {
            Log.AccountChanged(services.Logger, upstream.Name);
            GiveUpAsync(old!, link).Unawaited(services.Logger);
        }

        if (isLinked && isFirst && session.MayHear(upstream))
        {
            wasShown |= await session.Lists.ReadAnewAsync(upstream);
        }

        if (wasShown && session.MayHear(upstream))
        {
            session.Lists.TellChanged();
        }
    }

    /// <summary>Signals may have been lost: the accounts are looked at with the next look.</summary>
    public void DoubtAccounts() => _doubtsAccounts = true;

    /// <summary>Whether <see cref="LookAtAccountsAsync"/> has something to look at by now.</summary>
    public bool HasAccountsToLookAt
    {
        get
        {
            if (!_doubtsAccounts && services.Time.GetElapsedTime(_accountsLookedAt) < AccountLooks)
            {
                return false;
            }

            lock (_gate)
            {
                return !_disposed && (_slots?.Exists(slot => slot.Authorizer?.Linking is not null) == true || _known.Any(record => record.Fingerprint.Contains(OfLinking, StringComparison.Ordinal)));
            }
        }
    }

    /// <summary>Looks whether the accounts that servers were used with are still the person's.</summary>
    public async Task LookAtAccountsAsync()
    {
        (_accountsLookedAt, _doubtsAccounts) = (services.Time.GetTimestamp(), false);
        foreach (var upstream in services.Upstreams.All.Where(upstream => upstream.NeedsAccount))
        {
            await LookAtAccountAsync(upstream, mayBeNews: false);
        }
    }

    /// <param name="upstream">The server.</param>
    /// <param name="mayBeNews">Whether there is an account by now where there may have been none.</param>
    private async Task LookAtAccountAsync(Upstream upstream, bool mayBeNews)
    {
        string? linking;
        lock (_gate)
        {
            linking = LinkingLocked(upstream);
        }

        if (linking is null && !mayBeNews)
        {
            return;
        }

        try
        {
            var (isKnown, now) = await services.Accounts.LinkingAsync(upstream, session.Principal.Issuer, session.Principal.Subject);
            if (isKnown && now != linking)
            {
                await BeginAnewAsync(upstream, now is not null, isFirst: false, still => still == linking);
            }
        }
        catch (StoreException)
        {
            // With the next look.
            _doubtsAccounts = true;
        }
    }

    /// <summary>Which linking of an account the server is used with here; null: with none yet.</summary>
    private string? LinkingLocked(Upstream upstream) =>
        _slots?.Find(slot => ReferenceEquals(slot.Upstream, upstream))?.Authorizer?.Linking ?? _known.Select(record => LinkingOf(record, upstream)).FirstOrDefault(known => known is not null);

    /// <summary>What a link of this linking is kept under. Where the server needs no account: what the server is.</summary>
    private static string FingerprintOf(Upstream upstream, string? linking) => linking is null ? upstream.Fingerprint : $"{upstream.Fingerprint}{OfLinking}{linking}";

    /// <summary>Which linking of an account a kept link is of; null: of none, or of another server.</summary>
    private static string? LinkingOf(LinkRecord record, Upstream upstream) =>
        record.Server == upstream.Name && record.Fingerprint.StartsWith(upstream.Fingerprint + OfLinking, StringComparison.Ordinal) ? record.Fingerprint[(upstream.Fingerprint.Length + 1)..] : null;

    /// <summary>Whether a kept link is one to this very server, as it is configured now; of whatever account.</summary>
    private static bool IsTo(LinkRecord record, Upstream upstream) =>
        upstream.NeedsAccount ? LinkingOf(record, upstream) is not null : record.Server == upstream.Name && record.Fingerprint == upstream.Fingerprint;

    /// <summary>Whether a link is of an account that is not the person's any more.</summary>
    private static bool IsOver(Link link) => link.Parameters.Authorizer is { HasEnded: true };

    /// <summary>
    /// Takes over what is kept of links: those that are of what the person has linked now. Where an account changes while that is looked up, it is looked up again: nothing of one that is
    /// gone comes back.
    /// </summary>
    /// <param name="links">As the store has them.</param>
    /// <param name="take">Takes them over, at one with the changes of accounts: under the gate.</param>
    private async Task RestoreAsync(IReadOnlyList<LinkRecord> links, Action<IReadOnlyList<LinkRecord>> take)
    {
        while (true)
        {
            long changes;
            lock (_gate)
            {
                changes = _accountChanges;
            }

            var still = await OfAccountsAsync(links);
            lock (_gate)
            {
                if (changes == _accountChanges)
                {
                    take(still);
                    return;
                }
            }
        }
    }

    /// <summary>
    /// Those of the kept links that are of what the person has linked now; where that is nothing, those of a server that showed itself without an account. Where it cannot be told what is
    /// linked, they stay: nothing is sent on them before it can, and then it is looked whether they are of it.
    /// </summary>
    private async Task<IReadOnlyList<LinkRecord>> OfAccountsAsync(IReadOnlyList<LinkRecord> links)
    {
        List<LinkRecord>? still = null;
        foreach (var link in links)
        {
            if (services.Upstreams.Find(link.Server) is { NeedsAccount: true } upstream
                && (LinkingOf(link, upstream) is not { } linking || !await MayBeOfNowAsync(upstream, linking)))
            {
                (still ??= [.. links]).Remove(link);
            }
        }

        return still ?? links;

        async Task<bool> MayBeOfNowAsync(Upstream upstream, string linking)
        {
            var (isKnown, now) = await services.Accounts.LinkingAsync(upstream, session.Principal.Issuer, session.Principal.Subject);
            return !isKnown || linking == (now ?? "");
        }
    }

    /// <summary>Puts nothing in the place of what is kept of a link: it is of an account that is gone.</summary>
    private async Task ForgetKeptAsync(Task before, Upstream upstream)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await services.Store.SaveLinkAsync(new LinkRecord
            {
                SessionId = session.Id,
                Server = upstream.Name,
                Version = session.LinkVersion.ToWire(),
                InitializeResult = "{}"u8.ToArray(),
                Fingerprint = "",
            });
        }
        catch (StoreException e)
        {
            // Nobody goes on with it all the same: it says itself which linking it was of.
            Log.LinksNotRead(services.Logger, e.Message);
        }
    }
}
