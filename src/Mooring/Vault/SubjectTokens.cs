using System.Collections.Concurrent;
using Mooring.Configuration;

namespace Mooring.Vault;

/// <summary>
/// The newest token of each person that another issuer signed, for servers whose tokens are exchanged for it. In memory only, as long as it is valid:
/// a request at another replica, or after a restart, brings it along again.
/// </summary>
internal sealed class SubjectTokens(ConfigStore config, TimeProvider time)
{
    /// <summary>People remembered before the ended ones are looked for.</summary>
    private const int Many = 10_000;

    private readonly ConcurrentDictionary<(string Issuer, string Subject), (string Token, DateTimeOffset Expires)> _tokens = new();
    private int _sweepAt = Many;

    /// <summary>Remembers a token that was found good; not an older one in place of a newer.</summary>
    public void Seen(string issuer, string subject, string token, DateTimeOffset expires)
    {
        if (!config.Current.Servers.Any(server => server.Auth is { Kind: ServerAuthKind.Exchange, Provider: null }))
        {
            return;
        }

        _tokens.AddOrUpdate((issuer, subject), _ => (token, expires), (_, known) => known.Expires > expires ? known : (token, expires));
        if (_tokens.Count >= Volatile.Read(ref _sweepAt))
        {
            Sweep();
        }
    }

    /// <summary>Null: this person has shown none that is still valid.</summary>
    public string? Find(string issuer, string subject) =>
        _tokens.TryGetValue((issuer, subject), out var known) && known.Expires > time.GetUtcNow() ? known.Token : null;

    private void Sweep()
    {
        var now = time.GetUtcNow();
        foreach (var entry in _tokens)
        {
            if (entry.Value.Expires <= now)
            {
                _tokens.TryRemove(entry);
            }
        }

        // Twice what is left: looking through all of them stays rare.
        Volatile.Write(ref _sweepAt, Math.Max(Many, _tokens.Count * 2));
    }
}
