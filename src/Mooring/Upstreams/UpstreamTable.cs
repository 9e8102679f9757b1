using System.Collections.Frozen;
using Mooring.Configuration;

namespace Mooring.Upstreams;

/// <summary>The servers in force, in the order of the configuration. A reload keeps every server whose entry did not change, with its links.</summary>
internal sealed partial class UpstreamTable : IAsyncDisposable
{
    private readonly UpstreamServices _services;
    private readonly Dictionary<string, IConnector> _connectors;
    private readonly ILogger _logger;
    private volatile Snapshot _snapshot;

    public UpstreamTable(UpstreamServices services, IEnumerable<IConnector> connectors)
    {
        _services = services;
        _logger = services.Logger;
        _connectors = connectors.ToDictionary(c => c.Name, StringComparer.Ordinal);
        _snapshot = new Snapshot([]);
        Reconcile(services.Config.Current);
        services.Config.OnChange((_, config) => Reconcile(config));
    }

    /// <summary>Called after servers came, went or changed, with those that are no longer.</summary>
    public Action<IReadOnlyList<Upstream>>? Changed { get; set; }

    public IReadOnlyList<Upstream> All => _snapshot.All;

    /// <summary>Differs after every change.</summary>
    public object Version => _snapshot;

    public Upstream? Find(string name) => _snapshot.ByName.GetValueOrDefault(name);

    public async ValueTask DisposeAsync()
    {
        foreach (var upstream in All)
        {
            await upstream.DisposeAsync();
        }
    }

    private void Reconcile(MooringConfig config)
    {
        var old = _snapshot;
        var all = new List<Upstream>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var connector in config.Connectors)
        {
            if (_connectors.TryGetValue(connector.Name, out var built) && names.Add(connector.Name))
            {
                var entry = new ServerConfig { Name = connector.Name, Prefix = connector.Prefix, Concurrency = 256 };
                all.Add(old.ByName.GetValueOrDefault(connector.Name) is { Connector: not null } kept && kept.Config.Prefix == entry.Prefix
                    ? kept
                    : new Upstream(connector.Name, entry, built, _services));
            }
        }

        foreach (var server in config.Servers)
        {
            var name = server.Slug;
            if (server.Disabled)
            {
                continue;
            }

            if (!names.Add(name))
            {
                Log.SameName(_logger, server.Name, name);
                continue;
            }

            all.Add(old.ByName.GetValueOrDefault(name) is { Connector: null } kept && ServerConfigComparer.Same(kept.Config, server)
                ? kept
                : new Upstream(name, server, connector: null, _services));
        }

        _snapshot = new Snapshot(all);
        var gone = old.All.Except(all).ToList();
        gone.ForEach(upstream => upstream.Retire());
        foreach (var upstream in gone.Where(u => Find(u.Name) is null))
        {
            _services.Metrics.Forget(upstream.Name);
        }

        if (gone.Count > 0 || all.Count != old.All.Count)
        {
            Changed?.Invoke(gone);
        }
    }

    private sealed class Snapshot(IReadOnlyList<Upstream> all)
    {
        public IReadOnlyList<Upstream> All => all;

        public FrozenDictionary<string, Upstream> ByName { get; } = all.ToFrozenDictionary(u => u.Name, StringComparer.Ordinal);
    }

    private static partial class Log
    {
        [LoggerMessage(330, LogLevel.Error, "Server \"{Server}\" is left out: another one is also called {Name} in paths.", EventName = "ServerNameTaken")]
        public static partial void SameName(ILogger logger, string server, string name);
    }
}

/// <summary>Whether two entries mean the same; records compare their collections by reference.</summary>
internal static class ServerConfigComparer
{
    public static bool Same(ServerConfig a, ServerConfig b) =>
        (a with { Args = [], Env = NoMap, Headers = NoMap, Tools = NoTools, Auth = null }) == (b with { Args = [], Env = NoMap, Headers = NoMap, Tools = NoTools, Auth = null })
        && a.Args.SequenceEqual(b.Args) && Same(a.Env, b.Env) && Same(a.Headers, b.Headers) && Same(a.Tools, b.Tools) && Same(a.Auth, b.Auth);

    private static bool Same(ServerAuthConfig? a, ServerAuthConfig? b) => a is null || b is null
        ? a is null && b is null
        : (a with { Scopes = [] }) == (b with { Scopes = [] }) && a.Scopes.SequenceEqual(b.Scopes);

    private static readonly Dictionary<string, string> NoMap = [];
    private static readonly Dictionary<string, ToolConfig> NoTools = [];

    private static bool Same<T>(IReadOnlyDictionary<string, T> a, IReadOnlyDictionary<string, T> b) =>
        a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out var other) && Equals(pair.Value, other));
}
