using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>What is checked of requests of 2026-07-28 before anyone acts on them.</summary>
public sealed class StatelessChecksTests
{
    private const string Prefix = "io.modelcontextprotocol/";

    [Theory]
    [InlineData("MCP-Protocol-Version", null)]
    [InlineData("MCP-Protocol-Version", "2025-11-25")]
    [InlineData("Mcp-Method", null)]
    [InlineData("Mcp-Method", "tools/list")]
    [InlineData("Mcp-Method", "TOOLS/CALL")]
    [InlineData("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?=")]
    [InlineData("Mcp-Name", null)]
    [InlineData("Mcp-Name", "Echo")]
    [InlineData("Mcp-Name", "echo2")]
    [InlineData("Mcp-Name", "=?base64?ZWNobw?=")]
    [InlineData("Mcp-Name", "=?base64?ZWN!bw==?=")]
    [InlineData("Mcp-Name", "=?base64?ZWNo bw==?=")]
    [InlineData("Mcp-Name", "=?base64?/////w==?=")]
    [InlineData("Mcp-Name", "=?BASE64?ZWNobw==?=")]
    public async Task Header_DoesNotSayWhatTheBodySays_Is400HeaderMismatch(string name, string? value)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);

        using var reply = await client.CallAsync("echo", id: "\"x\"", headers: (name, value));

        var answer = await reply.MessageAsync();
        Assert.Equal((HttpStatusCode.BadRequest, -32020), (reply.Status, answer.ErrorCode()));
        Assert.Equal("\"x\"", answer.RawId());
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Theory]
    [InlineData("Mcp-Name", "  echo\t")]
    [InlineData("Mcp-Name", "=?base64?ZWNobw==?=")]
    [InlineData("mcp-method", "tools/call")]
    [InlineData("Mcp-Param-Unknown", "anything")]
    [InlineData("Mcp-Session-Id", "nobody's")]
    [InlineData("Last-Event-ID", "p1-1")]
    public async Task Header_SaysWhatTheBodySaysOrNothing_IsServed(string name, string value)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);

        using var reply = await client.CallAsync("echo", headers: (name, value));

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        Assert.Equal("nothing", (await reply.MessageAsync()).Text());
        Assert.Null(reply.Header("Mcp-Session-Id"));
    }

    [Fact]
    public async Task Name_NotForHeaders_IsComparedDecoded()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        var encoded = "=?base64?" + Convert.ToBase64String("wörks ü😀"u8) + "?=";

        using var same = await client.RequestAsync("prompts/get", """{"name":"wörks ü😀"}""", headers: ("Mcp-Name", encoded));
        using var other = await client.RequestAsync("prompts/get", """{"name":"wörks ü😁"}""", headers: ("Mcp-Name", encoded));

        // The server's own word: it has no prompts.
        Assert.Equal(-32601, (await same.MessageAsync()).ErrorCode());
        Assert.Equal(-32020, (await other.MessageAsync()).ErrorCode());
    }

    [Theory]
    [InlineData("protocolVersion", null)]
    [InlineData("protocolVersion", "20260728")]
    [InlineData("clientCapabilities", null)]
    [InlineData("clientCapabilities", "[]")]
    [InlineData("clientCapabilities", "null")]
    [InlineData("clientInfo", "\"me\"")]
    [InlineData("logLevel", "\"loud\"")]
    [InlineData("logLevel", "3")]
    public async Task Meta_MissingOrOfAnotherType_Is400InvalidParams(string key, string? value)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        client.Meta.Remove(Prefix + key);
        if (value is not null)
        {
            client.Meta[Prefix + key] = JsonNode.Parse(value);
        }

        using var reply = await client.CallAsync("echo");

        Assert.Equal((HttpStatusCode.BadRequest, -32602), (reply.Status, (await reply.MessageAsync()).ErrorCode()));
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Meta_WithoutClientInfo_IsServed()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        client.Meta.Remove(Prefix + "clientInfo");

        Assert.Equal("nothing", (await client.ResultAsync("tools/call", """{"name":"echo"}""")).Text());
    }

    [Theory]
    [InlineData("1900-01-01")]
    [InlineData("2025-11-25")]
    public async Task Version_NotServedWithoutSessions_Is400WithThoseThatAre(string version)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);

        using var reply = await client.RequestAsync("tools/list", meta: $$"""{"{{Prefix}}protocolVersion":"{{version}}"}""", headers: ("MCP-Protocol-Version", version));

        var answer = await reply.MessageAsync();
        Assert.Equal((HttpStatusCode.BadRequest, -32022), (reply.Status, answer.ErrorCode()));
        Assert.Equal(version, (string?)answer["error"]!["data"]!["requested"]);
        Assert.Equal(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"], answer["error"]!["data"]!["supported"]!.AsArray().Select(v => (string?)v));
    }

    [Theory]
    [InlineData("initialize")]
    [InlineData("ping")]
    [InlineData("logging/setLevel")]
    [InlineData("resources/subscribe")]
    [InlineData("resources/unsubscribe")]
    [InlineData("tasks/list")]
    [InlineData("tasks/result")]
    [InlineData("sampling/createMessage")]
    [InlineData("notifications/odd")]
    public async Task Method_RemovedOrNotAClients_Is404MethodNotFoundAndReachesNoServer(string method)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);

        using var reply = await client.RequestAsync(method);

        Assert.Equal((HttpStatusCode.NotFound, -32601), (reply.Status, (await reply.MessageAsync()).ErrorCode()));
        Assert.DoesNotContain(gateway.Upstream.Requests, r => (string?)r.Message?["method"] == method && r.Message?["params"]?["_meta"] is not null);
    }

    [Theory]
    [InlineData("/mcp")]
    [InlineData("/servers/one/mcp")]
    public async Task Method_OfNoVersion_Is404(string path)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await new StatelessClient(gateway.Http, path).RequestAsync("unknown/method");

        Assert.Equal((HttpStatusCode.NotFound, -32601), (reply.Status, (await reply.MessageAsync()).ErrorCode()));
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}""", HttpStatusCode.Accepted, null)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"result":{}}""", HttpStatusCode.BadRequest, -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}""", HttpStatusCode.BadRequest, -32600)]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]""", HttpStatusCode.BadRequest, -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""", HttpStatusCode.BadRequest, -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":7}}""", HttpStatusCode.BadRequest, -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,""", HttpStatusCode.BadRequest, -32700)]
    public async Task Body_NotOneRequest_IsAnsweredAsTheVersionSays(string body, HttpStatusCode status, int? code)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await new StatelessClient(gateway.Http).PostAsync(body, headers: [("MCP-Protocol-Version", StatelessClient.Version), ("Mcp-Method", "tools/list")]);

        Assert.Equal(status, reply.Status);
        var text = await reply.BodyAsync();
        Assert.Equal(code, text.Length == 0 ? null : JsonNode.Parse(text)!.AsObject().ErrorCode());
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("text/event-stream")]
    public async Task Accept_NamesOnlyOne_Is406(string accept)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await new StatelessClient(gateway.Http).CallAsync("echo", headers: ("Accept", accept));

        Assert.Equal(HttpStatusCode.NotAcceptable, reply.Status);
    }

    [Fact]
    public async Task Initialize_WithoutModernMeta_IsOfTheVersionsWithSessions()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await new StatelessClient(gateway.Http).PostAsync(
            """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""",
            headers: ("MCP-Protocol-Version", StatelessClient.Version));

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        Assert.NotNull(reply.Header("Mcp-Session-Id"));
    }

    [Theory]
    [InlineData("""{"region":"eu","deep":{"count":42},"dry":true}""", "eu", "42", "true", true)]
    [InlineData("""{"region":"eu","deep":{"count":42.0},"dry":false}""", "eu", "42", "false", true)]
    [InlineData("""{"region":"eu","deep":{"count":42},"dry":true}""", "eu", "42.0", "true", true)]
    [InlineData("""{"region":"wörld"}""", "=?base64?d8O2cmxk?=", null, null, true)]
    [InlineData("""{"region":null}""", null, null, null, true)]
    [InlineData("{}", null, null, null, true)]
    [InlineData("""{"region":"eu"}""", null, null, null, false)]
    [InlineData("""{"region":"eu"}""", "EU", null, null, false)]
    [InlineData("{}", "eu", null, null, false)]
    [InlineData("""{"region":null}""", "null", null, null, false)]
    [InlineData("""{"region":"eu"}""", "=?base64?ZXU?=", null, null, false)]
    [InlineData("""{"deep":{"count":42}}""", null, "43", null, false)]
    [InlineData("""{"dry":true}""", null, null, "True", false)]
    public async Task ParamHeaders_OfAToolThatNamesThem_HaveToSayWhatTheArgumentsSay(string arguments, string? region, string? count, string? dry, bool isServed)
    {
        foreach (var path in new[] { "/servers/one/mcp", "/mcp" })
        {
            await using var gateway = await GatewayFixture.StartAsync(null, WithHeaders());
            var client = new StatelessClient(gateway.Http, path);
            await client.ResultAsync("tools/list");

            using var reply = await client.CallAsync(path == "/mcp" ? "one__sql" : "sql", arguments, headers: [("Mcp-Param-Region", region), ("mcp-param-count", count), ("Mcp-Param-Dry", dry)]);

            Assert.Equal(isServed ? HttpStatusCode.OK : HttpStatusCode.BadRequest, reply.Status);
            Assert.Equal(isServed ? null : -32020, (await reply.MessageAsync()).ErrorCode());
            Assert.Equal(isServed ? 1 : 0, gateway.Upstream.Messages("tools/call").Count);
        }
    }

    private static FakeUpstream WithHeaders() => new()
    {
        Intercept = exchange =>
        {
            switch ((string?)exchange.Message?["method"])
            {
                case "tools/list":
                    exchange.Result("""
                        {"tools":[{"name":"sql","inputSchema":{"type":"object","properties":{
                        "region":{"type":["string","null"],"x-mcp-header":"Region"},
                        "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}},
                        "dry":{"type":"boolean","x-mcp-header":"Dry"},
                        "list":{"type":"array","items":{"properties":{"no":{"type":"string","x-mcp-header":"No"}}}},
                        "odd":{"type":"number","x-mcp-header":"Odd"}}}}]}
                        """);
                    return true;
                case "tools/call":
                    exchange.Text("done");
                    return true;
                default:
                    return false;
            }
        },
    };
}
