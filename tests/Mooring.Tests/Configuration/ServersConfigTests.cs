using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class ServersConfigTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [InlineData("\"kind\": \"oauth\"", "")]
    [InlineData("\"provider\": \"p\"", "\"p\": { \"authorizeUrl\": \"https://p.example/a\", \"tokenUrl\": \"https://p.example/t\", \"clientId\": \"c\" }")]
    public void Accounts_WhereOtherMachinesReachTheGateway_NeedItsAddress(string auth, string provider)
    {
        string Json(string listen, string more) =>
            $$"""{ "listen": ["http://127.0.0.1:3000", "{{listen}}"], "mcpServers": { "a": { "url": "https://a.example/mcp", "auth": { {{auth}} } } }, "providers": { {{provider}} }, "auth": { "mode": "apiKey" }{{more}} }""";

        var problem = _fixture.LoadWrong(Json("http://0.0.0.0:3001", ""));

        Assert.Equal("publicUrl", problem.Path);
        _fixture.LoadFine(Json("http://0.0.0.0:3001", ", \"publicUrl\": \"https://mcp.example.com\""));
        _fixture.LoadFine(Json("http://[::1]:3001", ""));
    }

    [Fact]
    public void Accounts_NoneButTokensThatAreShown_NeedNoAddress()
    {
        _fixture.LoadFine("""
            { "listen": "http://0.0.0.0:3000", "hosts": "mcp.example.com", "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example", "audience": "a" }] },
              "mcpServers": { "a": { "url": "https://a.example/mcp", "auth": { "kind": "exchange", "tokenUrl": "https://a.example/token", "clientId": "c" } } } }
            """);
    }

    [Fact]
    public void McpServers_AsClaudeDesktopWritesThem_AreRead()
    {
        var server = Assert.Single(_fixture.LoadFine("""
            { "mcpServers": { "everything": {
              "command": "npx", "args": ["-y", "@modelcontextprotocol/server-everything", 7], "env": { "PORT": 3000, "DEBUG": true, "NAME": "x" } } } }
            """).Servers);

        Assert.Equal(("everything", ServerTransport.Stdio, "npx"), (server.Name, server.Transport, server.Command));
        Assert.Equal(["-y", "@modelcontextprotocol/server-everything", "7"], server.Args);
        Assert.Equal("3000", server.Env["PORT"]);
        Assert.Equal("true", server.Env["DEBUG"]);
        Assert.Equal(LinkScope.Session, server.Scope);
    }

    [Theory]
    [InlineData("\"url\": \"https://a.example/mcp\", \"auth\": { \"kind\": \"oauth\", \"audience\": \"x\" }", "mcpServers.a.auth.audience", "only beside kind exchange")]
    [InlineData("\"url\": \"https://a.example/mcp\", \"auth\": { \"kind\": \"exchange\", \"clientId\": \"c\", \"provider\": \"p\" }", "mcpServers.a.auth.tokenUrl", "is missing; kind exchange")]
    [InlineData("\"url\": \"https://a.example/mcp\", \"auth\": { \"kind\": \"exchange\", \"tokenUrl\": \"https://t.example\", \"provider\": \"p\" }", "mcpServers.a.auth.clientId", "is missing; kind exchange")]
    [InlineData("\"url\": \"https://a.example/mcp\", \"auth\": { \"kind\": \"exchange\", \"tokenUrl\": \"http://t.example\", \"clientId\": \"c\", \"provider\": \"p\" }", "mcpServers.a.auth.tokenUrl", "without https")]
    [InlineData("\"url\": \"https://a.example/mcp\", \"auth\": { \"kind\": \"exchange\", \"tokenUrl\": \"https://t.example\", \"clientId\": \"c\" }", "mcpServers.a.auth.provider", "only with auth.mode jwt")]
    public void Auth_Incomplete_SaysWhatIsMissingAndWhere(string server, string path, string what)
    {
        var problem = _fixture.LoadWrong($$"""
            { "mcpServers": { "a": { {{server}} } }, "providers": { "p": { "authorizeUrl": "https://p.example/a", "tokenUrl": "https://p.example/t", "clientId": "c" } } }
            """);

        Assert.Equal(path, problem.Path);
        Assert.Contains(what, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void McpServers_AsCursorWritesThem_AreRead()
    {
        _fixture.Environment["KEY"] = "s3cret";
        _fixture.Write("servers.env", "# comment\nexport A=1\nB=\"two words\"\nC='$x'\nD=plain # note\n\n");
        var servers = _fixture.LoadFine("""
            { "mcpServers": {
              "local": { "command": "node", "args": ["${workspaceFolder}/s.js"], "envFile": "servers.env", "env": { "A": "over" }, "cwd": "${workspaceFolder}" },
              "remote": { "url": "https://issues.example.com/mcp", "headers": { "Authorization": "Bearer ${env:KEY}" } } } }
            """).Servers;

        Assert.Equal(Path.Combine(_fixture.Folder, "s.js"), servers[0].Args[0]);
        Assert.Equal(_fixture.Folder, servers[0].WorkingDirectory);
        Assert.Equal(
            new Dictionary<string, string> { ["A"] = "over", ["B"] = "two words", ["C"] = "$x", ["D"] = "plain" }, servers[0].Env);
        Assert.Equal(ServerTransport.Http, servers[1].Transport);
        Assert.Equal("Bearer s3cret", servers[1].Headers["authorization"]);
    }

    [Theory]
    [InlineData("auto", ServerProtocol.Auto)]
    [InlineData("legacy", ServerProtocol.Legacy)]
    [InlineData("2025-06-18", ServerProtocol.V2025_06_18)]
    [InlineData("2026-07-28", ServerProtocol.V2026_07_28)]
    public void Protocol_OfAServer_IsRead(string written, ServerProtocol protocol)
    {
        var servers = _fixture.LoadFine($$"""{ "mcpServers": { "a": { "url": "http://a.test/mcp", "protocol": "{{written}}" }, "b": { "command": "b" } } }""").Servers;

        Assert.Equal([protocol, ServerProtocol.Auto], servers.Select(s => s.Protocol));
    }

    [Fact]
    public void Protocol_OfAServerOfHttpSse_HasNoEffectAndIsSaidSo()
    {
        var result = _fixture.Load("""{ "mcpServers": { "a": { "type": "sse", "url": "http://a.test/sse", "protocol": "2026-07-28" } } }""");

        Assert.Equal("mcpServers.a.protocol", Assert.Single(result.Warnings).Path);
    }

    [Fact]
    public void Servers_AsVsCodeWritesThem_AreRead()
    {
        var result = _fixture.Load("""
            { "inputs": [], "servers": {
              "gh": { "type": "http", "url": "https://gh.example.com/mcp", "gallery": "x", "version": "1" },
              "old": { "type": "sse", "url": "https://old.example.com/sse" },
              "run": { "type": "stdio", "command": "x", "dev": { "watch": "." } } } }
            """);

        Assert.Empty(result.Errors);
        Assert.Equal(
            [("gh", ServerTransport.Http), ("old", ServerTransport.Sse), ("run", ServerTransport.Stdio)],
            result.Config!.Servers.Select(s => (s.Name, s.Transport)));
        Assert.Equal(["inputs", "servers.run.dev"], result.Warnings.Select(w => w.Path));
    }

    [Theory]
    [InlineData("http", ServerTransport.Http)]
    [InlineData("streamable-http", ServerTransport.Http)]
    [InlineData("streamableHttp", ServerTransport.Http)]
    [InlineData("sse", ServerTransport.Sse)]
    internal void Type_AnyKnownWord_IsRead(string type, ServerTransport transport) =>
        Assert.Equal(transport, _fixture.LoadFine(
            $$"""{ "mcpServers": { "a": { "type": "{{type}}", "url": "http://127.0.0.1:1/mcp" } } }""").Servers[0].Transport);

    [Fact]
    public void McpServers_OwnSettings_AreRead()
    {
        var server = Assert.Single(_fixture.LoadFine("""
            { "mcpServers": { "a": { "url": "http://127.0.0.1:1/mcp", "scope": "shared", "prefix": "never", "concurrency": 2, "queue": 0,
              "deadline": "90s", "retryOn503": true, "disabled": true, "commit": "durable", "idempotencyKey": "never", "taskAfter": "5s",
              "tools": { "send": { "replay": false, "commit": "fast", "idempotencyKey": "always", "taskAfter": "0" }, "other": {} } } } }
            """).Servers);

        Assert.Equal((LinkScope.Shared, PrefixRule.Never, 2, 0), (server.Scope, server.Prefix, server.Concurrency, server.Queue));
        Assert.Equal(TimeSpan.FromSeconds(90), server.Deadline);
        Assert.True(server is { RetryOn503: true, Disabled: true });
        Assert.Equal((CommitRule.Durable, KeyRule.Never), (server.Commit, server.IdempotencyKey));
        Assert.Equal((false, CommitRule.Fast, KeyRule.Always), (server.Tools["send"].Replay, server.Tools["send"].Commit, server.Tools["send"].IdempotencyKey));
        Assert.Equal((TimeSpan.FromSeconds(5), TimeSpan.Zero), (server.TaskAfter!.Value, server.Tools["send"].TaskAfter!.Value));
        Assert.Equal(new ToolConfig(), server.Tools["other"]);
    }

    [Theory]
    [InlineData("""{}""", "mcpServers.a", "needs \"command\" (a program to start) or \"url\" (a server to call).")]
    [InlineData("""{ "command": "x", "url": "http://x" }""", "mcpServers.a", "has both \"command\" and \"url\"; remove one, or say which counts with \"type\".")]
    [InlineData("""{ "type": "stdio", "url": "http://x" }""", "mcpServers.a", "has the type stdio but no \"command\".")]
    [InlineData("""{ "type": "sse", "command": "x" }""", "mcpServers.a", "has an HTTP type but no \"url\".")]
    [InlineData("""{ "type": "websocket", "url": "http://x" }""", "mcpServers.a.type", "must be \"stdio\" or \"http\" or \"sse\", not \"websocket\".")]
    [InlineData("""{ "url": "ws://ada:secret@x/?key=k" }""", "mcpServers.a.url", "must be an absolute http or https address, not \"ws://x\".")]
    [InlineData("""{ "command": "x", "arg": [] }""", "mcpServers.a.arg", "is not a setting; did you mean \"args\"?")]
    [InlineData("""{ "command": "x", "args": "-y" }""", "mcpServers.a.args", "must be a list, not a string.")]
    [InlineData("""{ "command": "x", "env": { "A=B": "1" } }""", "mcpServers.a.env[\"A=B\"]", "is no name of a variable.")]
    [InlineData("""{ "command": "x", "envFile": "none.env" }""", "mcpServers.a.envFile", null)]
    [InlineData("""{ "url": "http://x", "headers": { "a b": "1" } }""", "mcpServers.a.headers[\"a b\"]", "is no header name.")]
    [InlineData("""{ "url": "http://x", "headers": { "A": "1", "a": "2" } }""", "mcpServers.a.headers.a", "differs from an earlier name only by upper and lower case.")]
    [InlineData("""{ "url": "http://x", "headers": { "A": "1\n2" } }""", "mcpServers.a.headers.A", null)]
    [InlineData("""{ "url": "http://x", "oauth": {} }""", "mcpServers.a.oauth", "is not available in this version (sign-in at servers).")]
    [InlineData("""{ "url": "http://x", "commit": "slow" }""", "mcpServers.a.commit", "must be \"durable\" or \"fast\" or \"default\", not \"slow\".")]
    [InlineData("""{ "url": "http://x", "tools": { "t": { "commit": true } } }""", "mcpServers.a.tools.t.commit", null)]
    [InlineData("""{ "url": "http://x", "tools": { "t": { "idempotencyKey": "yes" } } }""", "mcpServers.a.tools.t.idempotencyKey", "must be \"always\" or \"never\" or \"default\", not \"yes\".")]
    [InlineData("""{ "url": "http://x", "tools": { "t": { "replay": "perhaps" } } }""", "mcpServers.a.tools.t.replay", "must be true or false, not \"perhaps\".")]
    public void McpServers_OneMistake_SaysWhereAndWhat(string server, string path, string? message)
    {
        var problem = _fixture.LoadWrong($$"""{ "mcpServers": { "a": {{server}} } }""");

        Assert.Equal((path, message ?? problem.Message), (problem.Path, problem.Message));
    }

    [Fact]
    public void McpServers_SettingsOfTheOtherTransport_AreWarnedAbout()
    {
        var result = _fixture.Load("""
            { "mcpServers": { "a": { "command": "x", "headers": {} }, "b": { "url": "http://x", "env": {}, "timeout": 5 } } }
            """);

        Assert.Empty(result.Errors);
        Assert.Equal(
            ["mcpServers.a.headers", "mcpServers.b.env", "mcpServers.b.timeout"],
            result.Warnings.Select(w => w.Path).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("""{ "mcpServers": { "a": { "command": "x" } }, "servers": { "a": { "command": "y" } } }""")]
    [InlineData("""{ "mcpServers": { "docs": { "command": "x" } }, "connectors": { "docs": { "path": "." } } }""")]
    [InlineData("""{ "mcpServers": { "a": { "command": "x" }, "A": { "command": "y" } } }""")]
    public void Names_UsedTwice_AreAnError(string json) =>
        Assert.Contains("is the name of another server or connector too", _fixture.LoadWrong(json).Message, StringComparison.Ordinal);

    [Fact]
    public void EnvFile_BrokenLine_IsNamedByNumberAndNotShown()
    {
        _fixture.Write("x.env", "A=1\nhunter2\n");

        var problem = _fixture.LoadWrong("""{ "mcpServers": { "a": { "command": "x", "envFile": "x.env" } } }""");

        Assert.Contains("line 2", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", problem.Message, StringComparison.Ordinal);
    }
}
