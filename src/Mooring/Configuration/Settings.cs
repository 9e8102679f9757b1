using System.Net;

namespace Mooring.Configuration;

/// <summary>
/// The table of all settings: name, limits, place in the record, meaning. Reading, environment overrides, reload rules and
/// <c>mooring.schema.json</c> all come from here; defaults come from the records.
/// </summary>
internal static class Settings
{
    private static readonly BooleanShape Bool = new();

    private static readonly ObjectShape<KeepAliveConfig> KeepAlive = new ObjectShape<KeepAliveConfig>(() => new())
        .Add("interval", new DurationShape("10ms", "1h"), c => c.Interval, (c, v) => c with { Interval = v },
            "Longest silence on an open stream before a comment is sent. Must stay below the idle limit of everything between client and gateway; common balancers cut after 60s.")
        .Add("jitter", new NumberShape(0, 0.5), c => c.Jitter, (c, v) => c with { Jitter = v },
            "How much each interval differs, as a part of it, so that thousands of streams do not beat together.");

    private static readonly ObjectShape<SessionsConfig> Sessions = new ObjectShape<SessionsConfig>(() => new())
        .Add("idle", new DurationShape("1s", "30d"), c => c.Idle, (c, v) => c with { Idle = v },
            "A session without a request or open stream for this long ends. Of clients without sessions: what a server keeps for one of them.");

    private static readonly ObjectShape<StreamsConfig> Streams = new ObjectShape<StreamsConfig>(() => new())
        .Add("retry", new DurationShape("0", "1m"), c => c.Retry, (c, v) => c with { Retry = v },
            "Reconnection time told to clients with retry:.")
        .Add("buffer", new SizeShape("4kB", "64MB"), c => c.Buffer, (c, v) => c with { Buffer = v },
            "Bytes that may wait for one slow reader before its stream is ended.")
        .Add("writeTimeout", new DurationShape("10ms", "1h"), c => c.WriteTimeout, (c, v) => c with { WriteTimeout = v },
            "Longest time a reader may take to accept what was written.");

    private static readonly ObjectShape<EventLogConfig> EventLog = new ObjectShape<EventLogConfig>(() => new())
        .Add("age", new DurationShape("1s", "7d"), c => c.Age, (c, v) => c with { Age = v },
            "How long events are kept for a client that comes back. Whichever of the three limits is met first counts.")
        .Add("events", new IntegerShape(1, 1_000_000), c => c.Events, (c, v) => c with { Events = v },
            "Events kept per session.")
        .Add("bytes", new SizeShape("4kB", "1GB"), c => c.Bytes, (c, v) => c with { Bytes = v },
            "Bytes of events kept per session.");

    private static readonly ObjectShape<CallsConfig> Calls = new ObjectShape<CallsConfig>(() => new())
        .Add("grace", new DurationShape("0", "10s"), c => c.Grace, (c, v) => c with { Grace = v },
            "How long a POST may stay undecided between one JSON answer and an event stream.")
        .Add("firstListWait", new DurationShape("0", "1m"), c => c.FirstListWait, (c, v) => c with { FirstListWait = v },
            "How long the very first list of a server is waited for.")
        .Add("deadline", new DurationShape("10ms", "24h"), c => c.Deadline, (c, v) => c with { Deadline = v },
            "Longest silence (no answer, no progress) of one call.")
        .Add("hardCap", new DurationShape("10ms", "7d"), c => c.HardCap, (c, v) => c with { HardCap = v },
            "Longest duration of one call, with progress or without.")
        .Add("progressEvery", ClientSettings.ProgressEvery, c => c.ProgressEvery, (c, v) => c with { ProgressEvery = v },
            "How often a client that gave a progress token is told that its call still runs, while the server itself reports no progress; off: never. For clients that give up a call of which they hear nothing.")
        .Add("inputWait", new DurationShape("1s", "24h"), c => c.InputWait, (c, v) => c with { InputWait = v },
            "How long a call whose server asked its client something waits for a client of 2026-07-28 to come back with the answer.")
        .Add("taskAfter", new DurationShape("0", "24h"), c => c.TaskAfter, (c, v) => c with { TaskAfter = v },
            "A tool call that takes longer than this becomes a task held in the store, where its client declares io.modelcontextprotocol/tasks; 0: never.")
        .Add("taskKeep", new DurationShape("1m", "30d"), c => c.TaskKeep, (c, v) => c with { TaskKeep = v },
            "How long a task and its result are kept after its end.");

    private static readonly ObjectShape<LimitsConfig> Limits = new ObjectShape<LimitsConfig>(() => new())
        .Add("streamsPerUser", new IntegerShape(1, 1_000_000), c => c.StreamsPerUser ?? LimitsConfig.DefaultStreamsPerUser, (c, v) => c with { StreamsPerUser = v },
            "Open streams of one user, at all replicas together on postgres.")
        .Add("streams", new IntegerShape(1, 10_000_000), c => c.Streams, (c, v) => c with { Streams = v },
            "Open streams of this process. Each needs a file descriptor.")
        .Add("allStreams", new IntegerShape(0, 1_000_000_000), c => c.AllStreams, (c, v) => c with { AllStreams = v },
            "Streams that clients keep open at all replicas together, on postgres; 0: no limit.")
        .Add("sessionsPerUser", new IntegerShape(1, 1_000_000), c => c.SessionsPerUser ?? LimitsConfig.DefaultSessionsPerUser, (c, v) => c with { SessionsPerUser = v },
            "Sessions of one user, at all replicas together on postgres.")
        .Add("sessions", new IntegerShape(1, 100_000_000), c => c.Sessions, (c, v) => c with { Sessions = v },
            "Sessions of all users that this process has in memory.")
        .Add("allSessions", new IntegerShape(0, 1_000_000_000), c => c.AllSessions, (c, v) => c with { AllSessions = v },
            "Sessions of all users in the store, on postgres; 0: no limit.")
        .Add("bodySize", new SizeShape("1kB", "1GB"), c => c.BodySize, (c, v) => c with { BodySize = v },
            "Largest request body, and largest message of an upstream (of a stdio server from its next start). 1 kB is 1,024 bytes.")
        .Add("headerSize", new SizeShape("1kB", "1MB"), c => c.HeaderSize, (c, v) => c with { HeaderSize = (int)v },
            "All request headers together.", restart: true)
        .Add("jsonDepth", new IntegerShape(8, 1000), c => c.JsonDepth, (c, v) => c with { JsonDepth = v },
            "Deepest nesting of a message, of clients and of servers (of a stdio server from its next start).")
        .Add("batch", new IntegerShape(1, 10_000), c => c.Batch, (c, v) => c with { Batch = v },
            "Messages in one batch (2025-03-26).")
        .Add("callsPerUserPerMinute", new IntegerShape(0, 1_000_000), c => c.CallsPerUserPerMinute, (c, v) => c with { CallsPerUserPerMinute = v },
            "Calls one user may start in a minute, at all replicas together on postgres; 0: no limit.")
        .Add("callsPerMinute", new IntegerShape(0, 100_000_000), c => c.CallsPerMinute, (c, v) => c with { CallsPerMinute = v },
            "Such calls of all users; 0: no limit.")
        .Add("callsPerSession", new IntegerShape(1, 100_000), c => c.CallsPerSession, (c, v) => c with { CallsPerSession = v },
            "Calls of one session under way at once; more are refused with 429.")
        .Add("getStreamsPerSession", new IntegerShape(1, 1000), c => c.GetStreamsPerSession, (c, v) => c with { GetStreamsPerSession = v },
            "Standalone GET streams of one session.")
        .Add("waitingCallsPerUser", new IntegerShape(1, 1_000_000), c => c.WaitingCallsPerUser ?? LimitsConfig.DefaultWaitingCallsPerUser, (c, v) => c with { WaitingCallsPerUser = v },
            "Calls of one user that wait for a client of 2026-07-28 to come back with what their servers asked.")
        .Add("waitingCalls", new IntegerShape(1, 1_000_000), c => c.WaitingCalls, (c, v) => c with { WaitingCalls = v },
            "Such calls of all users.")
        .Add("tasksPerUser", new IntegerShape(1, 1_000_000), c => c.TasksPerUser ?? LimitsConfig.DefaultTasksPerUser, (c, v) => c with { TasksPerUser = v },
            "Tasks of one user that are held in the store, finished ones too. A call beyond that stays a call; one that its client wants as a task is refused.")
        .Add("tasks", new IntegerShape(1, 10_000_000), c => c.Tasks, (c, v) => c with { Tasks = v },
            "Such tasks of all users.");

    private static readonly ObjectShape<DrainConfig> Drain = new ObjectShape<DrainConfig>(() => new())
        .Add("delay", new DurationShape("0", "10m"), c => c.Delay, (c, v) => c with { Delay = v },
            "After a stop signal: unready but serving everything, so that the balancer notices.")
        .Add("grace", new DurationShape("0", "1h"), c => c.Grace, (c, v) => c with { Grace = v },
            "How long calls may take to finish after that. Delay and grace together must stay below the time the platform gives before it kills.");

    private static readonly ObjectShape<StoreConfig> Store = new ObjectShape<StoreConfig>(() => new())
        .Add("kind", new ChoiceShape<StoreKind>([new("sqlite", StoreKind.Sqlite), new("postgres", StoreKind.Postgres), new("dynamodb", StoreKind.DynamoDb), new("memory", StoreKind.Memory)]),
            c => c.Kind, (c, v) => c with { Kind = v },
            "Where sessions, streams and their events are kept. sqlite is a file for one gateway, postgres and dynamodb serve several replicas, memory forgets everything at the end of the process.", restart: true)
        .Add("directory", new PathShape(), c => c.Directory, (c, v) => c with { Directory = v },
            "Directory of the embedded store. --data and MOORING_DATA come first.", restart: true)
        .Add("connection", new TextShape(), c => c.Connection, (c, v) => c with { Connection = v },
            "For postgres: how to reach the database, such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}. May lead through a transaction-pooling proxy.", restart: true)
        .Add("listenConnection", new TextShape(), c => c.ListenConnection, (c, v) => c with { ListenConnection = v },
            "For postgres: the same for the one connection that listens for wake-ups; give it where connection leads through a transaction-pooling proxy. Without it, connection is used.", restart: true)
        .Add("maxConnections", new IntegerShape(2, 1000), c => c.MaxConnections, (c, v) => c with { MaxConnections = v },
            "For postgres: connections of this replica at most, besides the one that listens. All replicas together must stay below the server's max_connections.", restart: true)
        .Add("table", new TextShape("a table's name", t => t.Length is >= 3 and <= 255 && t.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')),
            c => c.Table, (c, v) => c with { Table = v },
            "For dynamodb: the table, with the partition key pk and the sort key sk, both strings, and TTL on expires.", restart: true)
        .Add("region", new TextShape("a region", t => t.Length > 0), c => c.Region, (c, v) => c with { Region = v },
            "For dynamodb: the table's region. Without it, what the AWS SDK finds.", restart: true)
        .Add("role", new TextShape("a role's ARN", t => t.StartsWith("arn:", StringComparison.Ordinal)), c => c.Role, (c, v) => c with { Role = v },
            "For dynamodb: a role that is assumed with the credentials that the AWS SDK finds, by its ARN. Without it, these are used.", restart: true)
        .Add("endpoint", new UrlShape(), c => c.Endpoint, (c, v) => c with { Endpoint = v },
            "For dynamodb: another address of the service, such as an interface endpoint.", restart: true)
        .Add("createTable", new BooleanShape(), c => c.CreateTable, (c, v) => c with { CreateTable = v },
            "For dynamodb: make the table where it is not there, paid by request and with TTL. Without it the gateway asks for items only, and needs no right to do more.", restart: true);

    private static readonly ObjectShape<CacheConfig> Cache = new ObjectShape<CacheConfig>(() => new())
        .Add("maxStale", new DurationShape("0", "1h"), c => c.MaxStale, (c, v) => c with { MaxStale = v },
            "How long sessions in memory are served while the store cannot be asked, and so how long one that was ended at another replica may still be used then.");

    private static readonly ObjectShape<TlsConfig> Tls = new ObjectShape<TlsConfig>(() => new("", ""))
        .Add("cert", new PathShape(), c => c.Cert.Length == 0 ? null : c.Cert, (c, v) => c with { Cert = v },
            "PEM file with the certificate and its chain. Its content is read again when it changes.")
        .Add("key", new PathShape(), c => c.Key.Length == 0 ? null : c.Key, (c, v) => c with { Key = v },
            "PEM file with the private key. Its content is read again when it changes.");

    private static readonly ObjectShape<HttpConfig> Http = new ObjectShape<HttpConfig>(() => new())
        .Add("keepAlive", new DurationShape("1s", "24h"), c => c.KeepAlive, (c, v) => c with { KeepAlive = v },
            "How long an idle client connection is kept. Must outlive the balancer's own, which is 600s at most with the common ones; else the balancer sends into a closed connection.", restart: true)
        .Add("headersTimeout", new DurationShape("1s", "10m"), c => c.HeadersTimeout, (c, v) => c with { HeadersTimeout = v },
            "How long a client may take to send its request headers.", restart: true)
        .Add("peerTimeout", new DurationShape("2s", "1h"), c => c.PeerTimeout, (c, v) => c with { PeerTimeout = v },
            "How long the machine at the other end of a connection, a client's or a server's, may acknowledge nothing (asleep, unplugged, forgotten by a NAT) before the connection is given up. Found by TCP keep-alive and TCP_USER_TIMEOUT.", restart: true);

    /// <summary>The file as a whole.</summary>
    public static readonly ObjectShape<MooringConfig> Root = new ObjectShape<MooringConfig>(() => new())
        .Foreign("$schema", "names the JSON schema for editors", silent: true)
        .Add("listen", new ListShape<string>(new TextShape(ListenAddress.Expected, t => ListenAddress.TryParse(t, out _)), orOne: true),
            c => c.Listen, (c, v) => c with { Listen = v }, "Addresses to listen on. https needs tls.", restart: true)
        .Add("publicUrl", new UrlShape(), c => c.PublicUrl, (c, v) => c with { PublicUrl = v },
            "The address clients use, where it differs from listen (a balancer or proxy stands before the gateway).")
        .Add("mcpServers", new ServersShape(), c => c.Servers, (c, v) => c with { Servers = [.. c.Servers, .. v] },
            "The MCP servers behind the gateway by name, in the shape of the files of Cursor, Claude and VS Code.")
        .Extra("servers", new ServersShape(), (c, v) => c with { Servers = [.. c.Servers, .. v] },
            "The same as mcpServers, under the name that VS Code uses.")
        .Foreign("inputs", "questions that VS Code asks at start; use ${NAME} for secrets")
        .Add("connectors", new ConnectorsShape(), c => c.Connectors, (c, v) => c with { Connectors = v },
            "Built-in servers by name, each with its own settings. Without servers and connectors the docs connector serves ./docs.")
        .Add("clients", new ClientsShape(), c => c.Clients, (c, v) => c with { Clients = v },
            "What is done otherwise for kinds of clients, by the name of a profile: one that comes with the gateway (docs/client-profiles.md) or one of your own.")
        .Add("keepAlive", KeepAlive, c => c.KeepAlive, (c, v) => c with { KeepAlive = v }, "The comments that keep open streams open.")
        .Add("sessions", Sessions, c => c.Sessions, (c, v) => c with { Sessions = v }, "How long sessions live.")
        .Add("streams", Streams, c => c.Streams, (c, v) => c with { Streams = v }, "Open event streams.")
        .Add("eventLog", EventLog, c => c.EventLog, (c, v) => c with { EventLog = v }, "What is kept for clients that come back with Last-Event-ID.")
        .Add("calls", Calls, c => c.Calls, (c, v) => c with { Calls = v }, "Calls on their way to servers.")
        .Add("limits", Limits, c => c.Limits, (c, v) => c with { Limits = v }, "Caps.")
        .Add("drain", Drain, c => c.Drain, (c, v) => c with { Drain = v }, "What happens after a stop signal.")
        .Add("store", Store, c => c.Store, (c, v) => c with { Store = v }, "What outlives connections and processes.")
        .Add("cache", Cache, c => c.Cache, (c, v) => c with { Cache = v }, "What replicas keep in memory of a store that they share.")
        .Add("auth", AuthSettings.Auth, c => c.Auth, (c, v) => c with { Auth = v }, "Who may come in.")
        .Add("policies", PolicySettings.Policies, c => c.Policies, (c, v) => c with { Policies = v }, "Who may use what (docs/policies.md).")
        .Add("audit", AuditSettings.Audit, c => c.Audit, (c, v) => c with { Audit = v }, "Where it is noted who did what (docs/audit.md).")
        .Add("tls", Tls, c => c.Tls, (c, v) => c with { Tls = v }, "The certificate for https addresses in listen.", restart: true)
        .Add("http", Http, c => c.Http, (c, v) => c with { Http = v }, "HTTP connections.")
        .Add("origins", new ListShape<string>(new TextShape(OriginExpected, IsOrigin), orOne: true), c => c.Origins, (c, v) => c with { Origins = v },
            "Origins that browsers may call from. A * stands for one or more whole labels, or for any port.")
        .Add("hosts", new ListShape<string>(new TextShape(HostExpected, t => IsHost(t) && HostPattern.Parse(t) is not null), orOne: true), c => c.Hosts, (c, v) => c with { Hosts = v },
            "Names that the Host header may carry beside loopback names and the host of publicUrl. With a port, that port only; a leading * stands for one or more whole labels. Without any, where listen has an address that other machines can reach: such addresses too (any IP address for 0.0.0.0), and any name where publicUrl is not set either.")
        .Add("trustedProxies", new ListShape<string>(new TextShape("an IP address or network such as 10.0.0.0/8", IsNetwork), orOne: true),
            c => c.TrustedProxies, (c, v) => c with { TrustedProxies = v }, "Networks whose X-Forwarded headers are believed.", restart: true)
        .Add("logLevel", new ChoiceShape<string>(
            [new("trace", "trace"), new("debug", "debug"), new("information", "information"), new("info", "information"), new("warning", "warning"), new("warn", "warning"), new("error", "error"), new("critical", "critical")]),
            c => c.LogLevel, (c, v) => c with { LogLevel = v }, "Lowest level that is logged.")
        .Add("vault", VaultSettings.Vault, c => c.Vault, (c, v) => c with { Vault = v }, "What protects the store's secrets, and what people asked and got.")
        .Add("providers", VaultSettings.Providers, c => c.Providers, (c, v) => c with { Providers = v },
            "Systems at which users have accounts that the gateway may use for them, by name. A user links one at /connect/NAME.");

    private const string OriginExpected = "an origin such as https://app.example.com, https://*.example.com or http://localhost:*";

    private const string HostExpected = "a host name, with a port or without, such as mcp.example.com";

    /// <summary>A network or a single address.</summary>
    public static bool IsNetwork(string text) => IPNetwork.TryParse(text, out _) || IPAddress.TryParse(text, out _);

    private static bool IsOrigin(string text)
    {
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        return scheme > 0 && text[..scheme].All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '-' or '.')
            && IsHost(text[(scheme + 3)..]) && OriginPattern.Parse(text) is not null;
    }

    private static bool IsHost(string text)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon >= 0 && !text.EndsWith(']');
        var port = hasPort ? text[(colon + 1)..] : "*";
        var host = hasPort ? text[..colon] : text;
        return (port == "*" || ushort.TryParse(port, out _))
            && (host.StartsWith('[') ? host.EndsWith(']') && IPAddress.TryParse(host[1..^1], out _) : host.Split('.').All(IsLabel));
    }

    // A * inside a label would let https://evil-example.com pass for https://*example.com.
    private static bool IsLabel(string label) =>
        label == "*" || (label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
}
