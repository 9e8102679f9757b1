namespace Mooring.Configuration;

/// <summary>The part of the table under <c>mcpServers</c>.</summary>
internal static class ServerSettings
{
    private static readonly BooleanShape Bool = new();

    private const string HeaderExpected = "a header value without line breaks";

    private static readonly MapShape<string> Variables = new(new TextShape(loose: true), StringComparer.Ordinal, name =>
        name.Length == 0 || name.Contains('=') || name.Contains('\0') ? "is no name of a variable." : null);

    private static readonly MapShape<string> Headers = new(
        new TextShape(HeaderExpected, value => !value.AsSpan().ContainsAny('\r', '\n', '\0'), loose: true), StringComparer.OrdinalIgnoreCase, name =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c)) ? null : "is no header name.");

    private static readonly ChoiceShape<CommitRule> Commit =
        new([new("durable", CommitRule.Durable), new("fast", CommitRule.Fast), new("default", CommitRule.Default)]);

    private static readonly ChoiceShape<KeyRule> Key =
        new([new("always", KeyRule.Always), new("never", KeyRule.Never), new("default", KeyRule.Default)]);

    /// <summary>One entry of <c>tools</c>.</summary>
    private static readonly ObjectShape<ToolConfig> Tool = new ObjectShape<ToolConfig>(() => new())
        .Add("replay", new OptionalShape<bool>(Bool), c => c.Replay, (c, v) => c with { Replay = v },
            "Whether the tool may be executed twice; overrides its readOnlyHint and idempotentHint.")
        .Add("commit", new OptionalShape<CommitRule>(Commit), c => c.Commit, (c, v) => c with { Commit = v },
            "As the server's commit, for this tool.")
        .Add("idempotencyKey", new OptionalShape<KeyRule>(Key), c => c.IdempotencyKey, (c, v) => c with { IdempotencyKey = v },
            "As the server's idempotencyKey, for this tool.")
        .Add("taskAfter", new OptionalShape<TimeSpan>(new DurationShape("0", "24h")), c => c.TaskAfter, (c, v) => c with { TaskAfter = v },
            "As the server's taskAfter, for this tool.");

    public static readonly ChoiceShape<PrefixRule> Prefix =
        new([new("always", PrefixRule.Always), new("never", PrefixRule.Never), new("default", PrefixRule.Default)]);

    private static readonly ChoiceShape<ServerTransport> Type = new(
    [
        new("stdio", ServerTransport.Stdio),
        new("http", ServerTransport.Http),
        new("streamable-http", ServerTransport.Http),
        new("streamableHttp", ServerTransport.Http),
        new("streamable_http", ServerTransport.Http),
        new("sse", ServerTransport.Sse),
    ]);

    private static readonly ChoiceShape<ServerProtocol> Protocol = new(
    [
        new("auto", ServerProtocol.Auto),
        new("legacy", ServerProtocol.Legacy),
        new("2024-11-05", ServerProtocol.V2024_11_05),
        new("2025-03-26", ServerProtocol.V2025_03_26),
        new("2025-06-18", ServerProtocol.V2025_06_18),
        new("2025-11-25", ServerProtocol.V2025_11_25),
        new("2026-07-28", ServerProtocol.V2026_07_28),
    ]);

    /// <summary><c>auth</c> of a server.</summary>
    private static readonly ObjectShape<ServerAuthConfig> Auth = new ObjectShape<ServerAuthConfig>(() => new())
        .Add("kind", new ChoiceShape<ServerAuthKind>([new("provider", ServerAuthKind.Provider), new("oauth", ServerAuthKind.OAuth), new("exchange", ServerAuthKind.Exchange)]),
            c => c.Kind, (c, v) => c with { Kind = v },
            "provider: the user's token at one of the providers. oauth: the user's token from the authorization server that the server itself names. exchange: a token given in exchange for another one of the user.")
        .Add("provider", new TextShape("a name", t => t.Length > 0), c => c.Provider, (c, v) => c with { Provider = v }, "Which of the providers. For exchange: whose token is exchanged; without it the one that the client shows the gateway (auth.mode jwt).")
        .Add("tokenUrl", new UrlShape(), c => c.TokenUrl, (c, v) => c with { TokenUrl = v }, "For exchange: where tokens are exchanged (RFC 8693).")
        .Add("audience", new TextShape("a name", t => t.Length > 0), c => c.Audience, (c, v) => c with { Audience = v }, "For exchange: what the server is called there.")
        .Add("resource", new TextShape("an address", t => Uri.TryCreate(t, UriKind.Absolute, out _)), c => c.Resource, (c, v) => c with { Resource = v }, "For exchange: the address that the token is for (RFC 8707).")
        .Add("clientId", new TextShape("an id", t => t.Length > 0), c => c.ClientId, (c, v) => c with { ClientId = v },
            "For oauth and exchange: who the gateway is at the authorization server. Without it the gateway names, for oauth, a document about itself, or registers.")
        .Add("clientSecret", new TextShape(), c => c.ClientSecret, (c, v) => c with { ClientSecret = v }, "For oauth and exchange: its secret there; write ${NAME} or ${file:PATH}.")
        .Add("issuer", new TextShape("an address", t => Uri.TryCreate(t, UriKind.Absolute, out _)), c => c.Issuer, (c, v) => c with { Issuer = v },
            "For oauth: the issuer of the one authorization server that the server may name. With a clientSecret, without which a server that turns bad could have it sent to any.")
        .Add("scopes", new ListShape<string>(new TextShape("a scope without spaces", t => t.Length > 0 && !t.Contains(' '))), c => c.Scopes, (c, v) => c with { Scopes = v },
            "For oauth and exchange: what is asked for, instead of what the server says.");

    /// <summary>One entry of <c>mcpServers</c>.</summary>
    public static readonly ObjectShape<ServerDraft> Server = new ObjectShape<ServerDraft>(() => new())
        .Add("type", new OptionalShape<ServerTransport>(Type), c => c.Type, (c, v) => c with { Type = v },
            "How the server is reached; found out from command and url where it is absent.")
        .Add("command", new TextShape("the program of the server", t => t.Length > 0), c => c.Server.Command, (c, v) => c.With(s => s with { Command = v }),
            "Program of a stdio server.")
        .Add("args", new ListShape<string>(new TextShape(loose: true)), c => c.Server.Args, (c, v) => c.With(s => s with { Args = v }),
            "Arguments of the program.")
        .Add("env", Variables, c => c.Server.Env, (c, v) => c.With(s => s with { Env = v }),
            "Variables added to the gateway's own environment for the program.")
        .Add("envFile", new PathShape(), c => c.EnvFile, (c, v) => c with { EnvFile = v },
            "File with NAME=VALUE lines for the program; env comes first.")
        .Add("cwd", new PathShape(), c => c.Server.WorkingDirectory, (c, v) => c.With(s => s with { WorkingDirectory = v }),
            "Working directory of the program.")
        .Add("url", new UrlShape(), c => c.Server.Url, (c, v) => c.With(s => s with { Url = v }),
            "Endpoint of an HTTP server.")
        .Add("headers", Headers, c => c.Server.Headers, (c, v) => c.With(s => s with { Headers = v }),
            "Headers sent with every request to an HTTP server.")
        .Add("auth", Auth, c => c.Server.Auth, (c, v) => c.With(s => s with { Auth = v }),
            "Whose credentials an HTTP server is used with, beside headers. Each user links his account at /connect/NAME.")
        .Add("protocol", Protocol, c => c.Server.Protocol, (c, v) => c.With(s => s with { Protocol = v }),
            "Which version of the protocol the server is spoken to in. auto: found out, and remembered. legacy: one with sessions (2025-11-25 and older). A version: that one.")
        .Add("disabled", Bool, c => c.Server.Disabled, (c, v) => c.With(s => s with { Disabled = v }),
            "Left out of everything while true.")
        .Add("scope", new ChoiceShape<LinkScope>([new("session", LinkScope.Session), new("shared", LinkScope.Shared)]),
            c => c.Server.Scope, (c, v) => c.With(s => s with { Scope = v }),
            "session: each client session has its own connection to the server. shared: one for all, without sampling, elicitation and roots.")
        .Add("prefix", Prefix, c => c.Server.Prefix, (c, v) => c.With(s => s with { Prefix = v }),
            "Whether tool names carry the name of the server, as in server__tool.")
        .Add("concurrency", new IntegerShape(1, 10_000), c => c.Server.Concurrency, (c, v) => c.With(s => s with { Concurrency = v }),
            "Calls under way at once.")
        .Add("queue", new IntegerShape(0, 100_000), c => c.Server.Queue, (c, v) => c.With(s => s with { Queue = v }),
            "Calls that wait for a place before further ones are refused.")
        .Add("deadline", new OptionalShape<TimeSpan>(new DurationShape("10ms", "24h")), c => c.Server.Deadline, (c, v) => c.With(s => s with { Deadline = v }),
            "Longest silence (no answer, no progress) of one call; else calls.deadline.")
        .Add("retryOn503", Bool, c => c.Server.RetryOn503, (c, v) => c.With(s => s with { RetryOn503 = v }),
            "Whether a 503 of this server means that the request was not executed, so that it may be sent again.")
        .Add("commit", Commit, c => c.Server.Commit, (c, v) => c.With(s => s with { Commit = v }),
            "durable: a tool call is in the store, and its client has an event id to come back with (2025-11-25), before the server hears of it. fast: it is sent at once. "
            + "default: durable for tools that are not safe to repeat, where several replicas share a store; else fast.")
        .Add("idempotencyKey", Key, c => c.Server.IdempotencyKey, (c, v) => c.With(s => s with { IdempotencyKey = v }),
            "Which tool calls carry io.mooring/idempotencyKey in _meta to the server. default: those that the gateway itself may send again and that change something.")
        .Add("taskAfter", new OptionalShape<TimeSpan>(new DurationShape("0", "24h")), c => c.Server.TaskAfter, (c, v) => c.With(s => s with { TaskAfter = v }),
            "When a call of its tools becomes a task; else calls.taskAfter. 0: never.")
        .Add("tools", new MapShape<ToolConfig>(Tool, StringComparer.Ordinal), c => c.Server.Tools, (c, v) => c.With(s => s with { Tools = v }),
            "Rules for single tools, by the server's own tool name.")
        .NotYet("oauth", "sign-in at servers")
        .NotYet("headersHelper", "headers made by a program")
        .NotYet("sandboxEnabled", "running servers in a sandbox")
        .Foreign("timeout", "clients mean seconds or milliseconds by it; use deadline")
        .Foreign("autoApprove", "approval is the client's affair")
        .Foreign("alwaysAllow", "approval is the client's affair")
        .Foreign("trust", "approval is the client's affair")
        .Foreign("dev", "it is a debugging aid of VS Code")
        .Foreign("name", "the name is the key", silent: true)
        .Foreign("description", "it is shown by clients only", silent: true)
        .Foreign("version", "it is shown by clients only", silent: true)
        .Foreign("gallery", "it is shown by clients only", silent: true);
}

/// <summary>An entry of <c>mcpServers</c> while it is read: what the file says before the transport is found out.</summary>
internal sealed record ServerDraft
{
    public ServerConfig Server { get; init; } = new() { Name = "" };

    public ServerTransport? Type { get; init; }

    public string? EnvFile { get; init; }

    public ServerDraft With(Func<ServerConfig, ServerConfig> change) => this with { Server = change(Server) };
}
