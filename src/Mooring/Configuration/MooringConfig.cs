using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>The whole configuration as one immutable snapshot; a reload replaces it. Defaults and their reasons stand at each value.</summary>
public sealed record MooringConfig
{
    /// <summary>Addresses to listen on.</summary>
    /// <value>Default <c>http://127.0.0.1:3000</c>.</value>
    public IReadOnlyList<string> Listen { get; init; } = ["http://127.0.0.1:3000"];

    /// <summary>The address clients use, when it differs from <see cref="Listen"/> (a balancer or proxy stands before the gateway).</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>The MCP servers behind the gateway, by name, in the order of the file.</summary>
    public IReadOnlyList<ServerConfig> Servers { get; init; } = [];

    /// <summary>The built-in connectors to serve, by name, each with its own settings.</summary>
    public IReadOnlyList<ConnectorConfig> Connectors { get; init; } = [];

    /// <summary>What is done otherwise for kinds of clients, over what comes with the gateway.</summary>
    public IReadOnlyList<ClientConfig> Clients { get; init; } = [];

    public KeepAliveConfig KeepAlive { get; init; } = new();

    public SessionsConfig Sessions { get; init; } = new();

    public StreamsConfig Streams { get; init; } = new();

    public EventLogConfig EventLog { get; init; } = new();

    public CallsConfig Calls { get; init; } = new();

    public LimitsConfig Limits { get; init; } = new();

    public DrainConfig Drain { get; init; } = new();

    public StoreConfig Store { get; init; } = new();

    public VaultConfig Vault { get; init; } = new();

    /// <summary>Whether users link accounts here, so that there are credentials to keep.</summary>
    internal bool UsesAccounts => Providers.Count > 0 || Servers.Any(server => server.Auth is not null);

    /// <summary>Whether users do so on pages of the gateway: a token that is shown with a request needs none.</summary>
    internal bool LinksAccounts => Providers.Count > 0 || Servers.Any(server => server.Auth is { } auth and not { Kind: ServerAuthKind.Exchange, Provider: null });

    /// <summary>Systems at which users have accounts, by name.</summary>
    public IReadOnlyDictionary<string, AccountProviderConfig> Providers { get; init; } = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal);

    public CacheConfig Cache { get; init; } = new();

    public AuthConfig Auth { get; init; } = new();

    /// <summary>Who may use what.</summary>
    public PoliciesConfig Policies { get; init; } = new();

    public AuditConfig Audit { get; init; } = new();

    public TlsConfig? Tls { get; init; }

    public HttpConfig Http { get; init; } = new();

    /// <summary>Origins that browsers may call from. A <c>*</c> stands for one or more whole labels, or for any port.</summary>
    /// <value>Default: loopback names on any port.</value>
    public IReadOnlyList<string> Origins { get; init; } =
        ["http://localhost:*", "https://localhost:*", "http://127.0.0.1:*", "https://127.0.0.1:*", "http://[::1]:*", "https://[::1]:*"];

    /// <summary>
    /// Names that the Host header may carry beside loopback names and the host of <see cref="PublicUrl"/>. Empty on a non-loopback address: that address too, and any name where there is
    /// no <see cref="PublicUrl"/>.
    /// </summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    /// <summary>Networks (CIDR) whose <c>X-Forwarded-*</c> headers are believed.</summary>
    public IReadOnlyList<string> TrustedProxies { get; init; } = [];

    /// <summary>Lowest level that is logged: trace, debug, information, warning, error, critical.</summary>
    /// <value>Default information.</value>
    public string LogLevel { get; init; } = "information";
}

/// <summary>How one MCP server is reached.</summary>
public enum ServerTransport
{
    /// <summary>A child process that speaks newline-delimited JSON on its standard streams.</summary>
    Stdio,

    /// <summary>Streamable HTTP; falls back to <see cref="Sse"/> where the server only has that.</summary>
    Http,

    /// <summary>HTTP+SSE of 2024-11-05.</summary>
    Sse,
}

/// <summary>Who shares the gateway's connection to a server.</summary>
public enum LinkScope
{
    /// <summary>Each client session has its own; the default.</summary>
    Session,

    /// <summary>One for all; such a link declares no client capabilities (see docs/architecture.md).</summary>
    Shared,
}

/// <summary>When the names of a server carry its name as a prefix.</summary>
public enum PrefixRule
{
    /// <summary>Servers of <c>mcpServers</c> with prefix, connectors without.</summary>
    Default,
    Always,
    Never,
}

/// <summary>Whether a tool call is put on record, with an event id for its client, before its server hears of it.</summary>
public enum CommitRule
{
    /// <summary>Durable for tools that are not safe to repeat, where several replicas share a store; else fast.</summary>
    Default,

    /// <summary>On record first: two commits per call, and whatever dies, the client that has the id gets an answer.</summary>
    Durable,

    /// <summary>Sent at once; on record only when its answer becomes an event stream.</summary>
    Fast,
}

/// <summary>Which tool calls carry an idempotency key to their server.</summary>
public enum KeyRule
{
    /// <summary>Those of tools that the gateway itself may send again, read-only ones left out.</summary>
    Default,
    Always,
    Never,
}

/// <summary>One entry of <c>mcpServers</c>, in the shape that MCP clients use.</summary>
public sealed record ServerConfig
{
    /// <summary>The name as written; see <c>Routing.Names</c> for the slug.</summary>
    public required string Name { get; init; }

    /// <summary>The name as it stands in paths and prefixes: anything but letters, digits, dash and underscore becomes a dash.</summary>
    internal string Slug => string.Concat(Name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-'));

    public ServerTransport Transport { get; init; }

    /// <summary>Program of a stdio server.</summary>
    public string? Command { get; init; }

    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>Variables added to the gateway's own environment for the child.</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Working directory of a stdio server.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Endpoint of an HTTP server.</summary>
    public Uri? Url { get; init; }

    /// <summary>Headers sent with every request to an HTTP server.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Whose credentials it is used with; null: nobody's.</summary>
    public ServerAuthConfig? Auth { get; init; }

    /// <summary>Which version of the protocol the server is spoken to in.</summary>
    public ServerProtocol Protocol { get; init; }

    public LinkScope Scope { get; init; } = LinkScope.Session;

    public PrefixRule Prefix { get; init; } = PrefixRule.Default;

    /// <summary>Left out of everything while true.</summary>
    public bool Disabled { get; init; }

    /// <summary>Calls under way at once.</summary>
    /// <value>Default 64; 1 to 10,000.</value>
    public int Concurrency { get; init; } = 64;

    /// <summary>Calls that wait for a place before further ones are refused.</summary>
    /// <value>Default 256; 0 to 100,000.</value>
    public int Queue { get; init; } = 256;

    /// <summary>Longest silence (no answer, no progress) of one call; null: <see cref="CallsConfig.Deadline"/>.</summary>
    public TimeSpan? Deadline { get; init; }

    /// <summary>Whether a 503 of this server means that the request was not executed, so that it may be sent again.</summary>
    public bool RetryOn503 { get; init; }

    /// <summary>For its tools; a tool's own <see cref="ToolConfig.Commit"/> comes first.</summary>
    public CommitRule Commit { get; init; }

    /// <summary>For its tools; a tool's own <see cref="ToolConfig.IdempotencyKey"/> comes first.</summary>
    public KeyRule IdempotencyKey { get; init; }

    /// <summary>For its tools; a tool's own <see cref="ToolConfig.TaskAfter"/> comes first. Null: <see cref="CallsConfig.TaskAfter"/>.</summary>
    public TimeSpan? TaskAfter { get; init; }

    /// <summary>Rules for single tools, by the server's own tool name.</summary>
    public IReadOnlyDictionary<string, ToolConfig> Tools { get; init; } = new Dictionary<string, ToolConfig>(StringComparer.Ordinal);
}

/// <summary>What is known of one tool beyond what its server says.</summary>
public sealed record ToolConfig
{
    /// <summary>Overrides <c>readOnlyHint</c> and <c>idempotentHint</c>: true = may be executed twice, false = never. Null: as the hints say.</summary>
    public bool? Replay { get; init; }

    /// <summary>Null: as its server's.</summary>
    public CommitRule? Commit { get; init; }

    /// <summary>Null: as its server's.</summary>
    public KeyRule? IdempotencyKey { get; init; }

    /// <summary>Null: as its server's.</summary>
    public TimeSpan? TaskAfter { get; init; }
}

/// <summary>One built-in connector and its own settings, which the connector itself checks.</summary>
public sealed record ConnectorConfig(string Name, JsonObject Settings)
{
    public PrefixRule Prefix { get; init; } = PrefixRule.Default;
}

public sealed record KeepAliveConfig
{
    /// <summary>Longest silence on an open stream before a comment is sent.</summary>
    /// <value>Default 15 s, below the 60 s idle cut of common balancers; 10 ms to 1 h.</value>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How much each interval differs, so that thousands of streams do not beat together.</summary>
    /// <value>Default 0.2 (±20 %); 0 to 0.5.</value>
    public double Jitter { get; init; } = 0.2;
}

public sealed record SessionsConfig
{
    /// <summary>A session without a request or open stream for this long ends.</summary>
    /// <value>Default 24 h; 1 s to 30 d.</value>
    public TimeSpan Idle { get; init; } = TimeSpan.FromHours(24);
}

public sealed record StreamsConfig
{
    /// <summary>Reconnection time told to clients with <c>retry:</c>.</summary>
    /// <value>Default 1 s; 0 to 1 min.</value>
    public TimeSpan Retry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Bytes that may wait for one slow reader.</summary>
    /// <value>Default 256 kB; 4 kB to 64 MB.</value>
    public long Buffer { get; init; } = 256 * 1024;

    /// <summary>Longest time a reader may take to accept what was written.</summary>
    /// <value>Default 30 s; 10 ms to 1 h.</value>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);
}

public sealed record EventLogConfig
{
    /// <value>Default 15 min.</value>
    public TimeSpan Age { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Events kept per session.</summary>
    /// <value>Default 1,000.</value>
    public int Events { get; init; } = 1000;

    /// <summary>Bytes kept per session.</summary>
    /// <value>Default 8 MB.</value>
    public long Bytes { get; init; } = 8 * 1024 * 1024;
}

public sealed record DrainConfig
{
    /// <summary>For what is left to say once everything is abandoned, and as long again to store it; only a store or a server that hangs takes so long.</summary>
    internal static readonly TimeSpan AbortPatience = TimeSpan.FromSeconds(2);

    /// <summary>Unready but serving everything, so that the balancer notices.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long calls may take to finish after that.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>All stages together, at the longest.</summary>
    internal TimeSpan Longest => Delay + Grace + (2 * AbortPatience);

    /// <summary>The same, but no longer in all: what is too much is taken from the grace first.</summary>
    /// <param name="limit">Infinite: there is none.</param>
    internal DrainConfig Within(TimeSpan limit)
    {
        if (limit == Timeout.InfiniteTimeSpan || Longest <= limit)
        {
            return this;
        }

        var left = TimeSpan.FromTicks(Math.Max(0, (limit - (2 * AbortPatience)).Ticks));
        var delay = Delay < left ? Delay : left;
        return this with { Delay = delay, Grace = left - delay };
    }
}

public enum StoreKind
{
    Sqlite,
    Memory,
    Postgres,
    DynamoDb,
}

public sealed record StoreConfig
{
    public StoreKind Kind { get; init; } = StoreKind.Sqlite;

    /// <summary>Directory of the embedded store; null: <c>--data</c> or the default data directory.</summary>
    public string? Directory { get; init; }

    /// <summary>How to reach PostgreSQL, as Npgsql writes it (<c>Host=…;Database=…;Username=…;Password=…</c>); null for the other kinds.</summary>
    public string? Connection { get; init; }

    /// <summary>The same for the one connection that listens, which a transaction-pooling proxy cannot carry; null: as <see cref="Connection"/>.</summary>
    public string? ListenConnection { get; init; }

    /// <summary>Connections to PostgreSQL at most, besides the one that listens.</summary>
    /// <value>Default 16: five replicas fit into the 100 that PostgreSQL allows by default.</value>
    public int MaxConnections { get; init; } = 16;

    /// <summary>The DynamoDB table.</summary>
    public string Table { get; init; } = "mooring";

    /// <summary>The table's region; null: what the AWS SDK finds.</summary>
    public string? Region { get; init; }

    /// <summary>A role that is assumed for DynamoDB; null: none, beside what the AWS SDK finds.</summary>
    public string? Role { get; init; }

    /// <summary>Another address of DynamoDB, such as an interface endpoint; null: the region's own.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>Whether a table that is not there is made at the start. Without it the control plane is never asked.</summary>
    public bool CreateTable { get; init; }

    /// <summary>Whether several replicas share it.</summary>
    internal bool IsShared => Kind is StoreKind.Postgres or StoreKind.DynamoDb;
}

/// <summary>PEM files; reloaded when they change.</summary>
public sealed record TlsConfig(string Cert, string Key);
