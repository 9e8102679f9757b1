using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Routing;

/// <summary>
/// Names on the merged route. A name that two servers show stays with the one that showed it first, also across restarts, so that a
/// server added later cannot take over a tool people already use.
/// </summary>
internal sealed partial class Names(IStore store, ILogger<Names> logger)
{
    /// <summary>Longest name clients accept.</summary>
    public const int Longest = 128;

    public const string Separator = "__";

    private readonly ConcurrentDictionary<(string Kind, string Name), string> _holders = new();
    private long _version;

    /// <summary>Another number when a name turned out to be held by another server than was believed; read it before what it stands for.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>A name turned out to be held by another server than was believed, as another replica claimed it first.</summary>
    public Action? Corrected { get; set; }

    public async Task LoadAsync(CancellationToken cancel)
    {
        foreach (var record in await store.LoadNamesAsync(cancel))
        {
            _holders[(record.Kind, record.Name)] = record.Server;
        }
    }

    /// <summary>The server that holds a name: <paramref name="server"/> itself where nobody did before.</summary>
    public string Claim(string kind, string name, string server)
    {
        var claimed = false;
        var holder = _holders.GetOrAdd((kind, name), _ =>
        {
            claimed = true;
            return server;
        });
        if (claimed && holder == server)
        {
            KeepAsync(new NameRecord(kind, name, server)).Unawaited(logger);
        }

        return holder;
    }

    /// <summary>The server that holds a name; null while nobody does.</summary>
    public string? Holder(string kind, string name) => _holders.GetValueOrDefault((kind, name));

    /// <summary>Frees what servers that are no longer configured held.</summary>
    public void Release(Func<string, bool> isConfigured)
    {
        var gone = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, holder) in _holders)
        {
            if (!isConfigured(holder) && _holders.TryRemove(KeyValuePair.Create(key, holder)))
            {
                gone.Add(holder);
            }
        }

        foreach (var server in gone)
        {
            ReleaseAsync(server).Unawaited(logger);
        }
    }

    /// <summary>The kind of name that a list's items have.</summary>
    public static string KindIn(ListKind list) => list == ListKind.Tools ? "tool" : "prompt";

    public static string Prefixed(string server, string name) => Fit(server + Separator + name);

    /// <summary>A legal name of at most 128 characters: others become an underscore, over-long names end in a hash of the whole.</summary>
    public static string Fit(string name)
    {
        var clean = string.Create(name.Length, name, static (span, name) =>
        {
            for (var i = 0; i < name.Length; i++)
            {
                span[i] = char.IsAsciiLetterOrDigit(name[i]) || name[i] is '_' or '.' or '-' ? name[i] : '_';
            }
        });
        return clean.Length <= Longest && clean == name ? clean : WithHash(clean, name);
    }

    /// <summary>The same name for the same input for ever; another for any other input.</summary>
    public static string WithHash(string clean, string of)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(of)).AsSpan(0, 4));
        return string.Concat(clean.AsSpan(0, Math.Min(clean.Length, Longest - hash.Length - 1)), "_", hash);
    }

    private async Task KeepAsync(NameRecord name)
    {
        try
        {
            var holder = await store.ClaimNameAsync(name);
            if (holder != name.Server && _holders.TryUpdate((name.Kind, name.Name), holder, name.Server))
            {
                Interlocked.Increment(ref _version);
                Corrected?.Invoke();
            }
        }
        catch (StoreException e)
        {
            Log.NotKept(logger, name.Name, e.Message);
        }
    }

    private async Task ReleaseAsync(string server)
    {
        try
        {
            await store.ReleaseNamesAsync(server);
        }
        catch (StoreException e)
        {
            Log.NotKept(logger, server, e.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Warning, "Who holds the name {Name} was not kept in the store: {Reason}", EventName = "NameNotKept")]
        public static partial void NotKept(ILogger logger, string name, string reason);
    }
}
