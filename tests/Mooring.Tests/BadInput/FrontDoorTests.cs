using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.BadInput;

/// <summary>What clients, and those who pretend to be some, send that is wrong: exact status, exact code, words that name the fault, the client's own id.</summary>
public sealed class FrontDoorTests
{
    private const string Ping = """{"jsonrpc":"2.0","id":"me","method":"ping"}""";

    [Theory]
    [InlineData("", -32700, null, "Not valid JSON")]
    [InlineData("{", -32700, null, "Not valid JSON")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}{}", -32700, null, "Not valid JSON")]
    [InlineData("\0", -32700, null, "Not valid JSON")]
    [InlineData("7", -32600, null, "must be a JSON object")]
    [InlineData("\"x\"", -32600, null, "must be a JSON object")]
    [InlineData("null", -32600, null, "must be a JSON object")]
    [InlineData("{}", -32600, null, "\"jsonrpc\" must be")]
    [InlineData("{\"id\":\"a\",\"method\":\"ping\"}", -32600, "\"a\"", "\"jsonrpc\" must be")]
    [InlineData("{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"ping\"}", -32600, "5", "\"jsonrpc\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":{}}", -32600, "5", "\"method\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\",\"params\":[]}", -32600, "5", "\"params\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{},\"error\":{\"code\":1,\"message\":\"m\"}}", -32600, "5", "exactly one of")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600, null, "\"id\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", -32600, null, "\"id\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":{\"a\":1},\"method\":\"ping\"}", -32600, null, "\"id\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600, null, "\"id\" must be")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"\\u0069d\":\"1\",\"method\":\"ping\"}", -32600, null, "\"id\" stands twice")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\",\"method\":\"ping\"}", -32600, null, "\"method\" stands twice")]
    [InlineData("[]", -32600, null, "The batch is empty")]
    [InlineData("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, null, "has no batches")]
    [InlineData("[", -32700, null, "Not valid JSON")]
    public async Task Post_NoMessage_Is400(string body, int code, string? id, string names)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.PostAsync(body);

        await RefusedAsync(reply, HttpStatusCode.BadRequest, code, names, id);
        Unharmed(gateway);
    }

    [Fact]
    public async Task Post_BytesThatAreNoUtf8_Is400()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        var (status, body) = await SendAsync(gateway, client, [.. Encoding.UTF8.GetBytes(Ping.Replace("me", "m")[..^2]), 0xC3, (byte)'"', (byte)'}']);

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(-32700, (int?)body["error"]!["code"]);
        Assert.Equal("The message is not valid UTF-8.", (string?)body["error"]!["message"]);
        Unharmed(gateway);
    }

    [Theory]
    [InlineData(64, HttpStatusCode.OK)]
    [InlineData(65, HttpStatusCode.BadRequest)]
    public async Task Post_Nesting_IsTakenUpTo64Levels(int levels, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var deep = new string('[', levels - 3) + new string(']', levels - 3);

        using var reply = await client.CallAsync("echo", $$"""{"text":{{deep}}}""", id: "6");

        Assert.Equal(expected, reply.Status);
        var message = await reply.MessageAsync();
        Assert.Equal("6", message["id"]!.ToJsonString());
        Assert.Equal(levels > 64, ((string?)message["error"]?["message"])?.Contains("nested deeper than 64", StringComparison.Ordinal) ?? false);
        Unharmed(gateway);
    }

    [Fact]
    public async Task Post_HugeNumbers_PassByteForByte()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        const string Id = "123456789012345678901234567890123456789";

        using var reply = await client.CallAsync("echo", """{"text":"x","n":[1E400,-0,1.0,90071992547409931.10000000000000000001]}""", Id);

        Assert.Contains($"\"id\":{Id}", await reply.BodyAsync(), StringComparison.Ordinal);
        Assert.Contains("[1E400,-0,1.0,90071992547409931.10000000000000000001]", gateway.Upstream.Requests.Single(r => r.Body.Contains("tools/call", StringComparison.Ordinal)).Body, StringComparison.Ordinal);
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("1", "\"1\"")]
    [InlineData("\"\"", "0")]
    [InlineData("\"\\u0031\"", "\"1\"")]
    public async Task Post_TwoIdsThatLookAlike_AreTwo(string first, string second)
    {
        await using var gateway = await GatewayFixture.StartAsync(upstreams: new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        var one = client.CallAsync("slow", id: first);
        var call1 = await gateway.Upstream.CallAsync();
        var two = client.CallAsync("slow", id: second);
        var call2 = await gateway.Upstream.CallAsync();

        call2.Text("second");
        using var reply2 = await two;
        Assert.Contains($"\"id\":{second},", await reply2.BodyAsync(), StringComparison.Ordinal);
        call1.Text("first");
        using var reply1 = await one;

        var body1 = await reply1.BodyAsync();
        Assert.Contains($"\"id\":{first},", body1, StringComparison.Ordinal);
        Assert.Contains("first", body1, StringComparison.Ordinal);
        Unharmed(gateway);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_TooLarge_Is413(bool chunked)
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { BodySize = 2048 } } });
        var client = await gateway.ClientAsync();
        byte[] Of(int size) => Encoding.UTF8.GetBytes(Ping + new string(' ', size - Ping.Length));

        var (fits, _) = await SendAsync(gateway, client, Of(2048), chunked: chunked);
        var (status, body) = await SendAsync(gateway, client, Of(2049), chunked: chunked);

        Assert.Equal(HttpStatusCode.OK, fits);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status);
        Assert.Equal(-32000, (int?)body["error"]!["code"]);
        Assert.Contains("larger than 2048 bytes (limits.bodySize)", (string?)body["error"]!["message"], StringComparison.Ordinal);
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("application/json", HttpStatusCode.OK)]
    [InlineData("Application/JSON; charset=UTF-8", HttpStatusCode.OK)]
    [InlineData("application/json;charset=\"utf-8\"; x=y", HttpStatusCode.OK)]
    [InlineData("application/json;charset=utf-16", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/jsonp", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json-rpc", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("text/plain", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("text/plain; application/json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("", HttpStatusCode.UnsupportedMediaType)]
    [InlineData(null, HttpStatusCode.UnsupportedMediaType)]
    public async Task Post_ContentType_MustBeJson(string? type, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        var (status, body) = await SendAsync(gateway, client, Encoding.UTF8.GetBytes(Ping), type);

        Assert.Equal(expected, status);
        Assert.Equal(expected == HttpStatusCode.OK, body["result"] is not null);
        Assert.True(expected == HttpStatusCode.OK || ((string)body["error"]!["message"]!).Contains("Content-Type", StringComparison.Ordinal));
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("gzip", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("identity, gzip", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("identity", HttpStatusCode.OK)]
    public async Task Post_ContentEncoding_MustBeNone(string encoding, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        var (status, body) = await SendAsync(gateway, client, Encoding.UTF8.GetBytes(Ping), encoding: encoding);

        Assert.Equal(expected, status);
        Assert.True(expected == HttpStatusCode.OK || ((string)body["error"]!["message"]!).Contains("Content-Encoding", StringComparison.Ordinal));
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("application/json, text/event-stream", HttpStatusCode.OK)]
    [InlineData("application/json", HttpStatusCode.OK)]
    [InlineData("text/event-stream", HttpStatusCode.OK)]
    [InlineData("*/*", HttpStatusCode.OK)]
    [InlineData("TEXT/*;q=0.5", HttpStatusCode.OK)]
    [InlineData("application/json;q=0, text/event-stream", HttpStatusCode.OK)]
    [InlineData("application/json;charset=utf-8;q=0.001, */*;q=0", HttpStatusCode.OK)]
    [InlineData("application/json;q=0, */*;q=0.1", HttpStatusCode.OK)]
    [InlineData("application/json;q=0, text/event-stream;q=0", HttpStatusCode.NotAcceptable)]
    [InlineData("*/*;Q=0.000", HttpStatusCode.NotAcceptable)]
    [InlineData("application/*;q=0, text/event-stream;q=0, */*", HttpStatusCode.NotAcceptable)]
    [InlineData("text/html", HttpStatusCode.NotAcceptable)]
    [InlineData("garbage", HttpStatusCode.NotAcceptable)]
    [InlineData(",,;;", HttpStatusCode.NotAcceptable)]
    public async Task Post_Accept_MustNameATypeWeHave(string accept, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.PostAsync(Ping, accept);

        if (expected == HttpStatusCode.OK)
        {
            Assert.Equal(expected, reply.Status);
            Assert.NotNull((await reply.MessageAsync())["result"]);
        }
        else
        {
            await RefusedAsync(reply, expected, -32000, "Accept must name", id: null);
        }

        Unharmed(gateway);
    }

    [Theory]
    [InlineData("/mcp", "no/such", "{}", -32601, "Method not found: no/such")]
    [InlineData("/servers/one/mcp", "no/such", "{}", -32601, "Method not found")]
    [InlineData("/mcp", "tools/call", "{}", -32602, "Unknown tool: ")]
    [InlineData("/mcp", "tools/call", "{\"name\":7}", -32602, "Unknown tool: 7")]
    [InlineData("/mcp", "tools/call", "{\"name\":\"\\ud800\"}", -32602, "Unknown tool: \uFFFD")]
    [InlineData("/mcp", "prompts/get", "{\"name\":null}", -32602, "Unknown prompt: null")]
    [InlineData("/mcp", "resources/read", "{\"uri\":\"\\udfff:x\"}", -32002, "Resource not found: \uFFFD:x")]
    [InlineData("/mcp", "resources/subscribe", "{}", -32002, "Resource not found")]
    [InlineData("/mcp", "tasks/get", "{\"taskId\":[]}", -32602, "Unknown task")]
    [InlineData("/mcp", "completion/complete", "{\"ref\":5}", -32602, "")]
    [InlineData("/mcp", "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":{}}}", -32602, "")]
    [InlineData("/mcp", "logging/setLevel", "{\"level\":\"loud\"}", -32602, "Unknown log level: loud")]
    [InlineData("/mcp", "logging/setLevel", "{}", -32602, "Unknown log level")]
    [InlineData("/mcp", "tools/list", "{\"cursor\":\"x\"}", -32602, "Unknown cursor")]
    [InlineData("/mcp", "tools/list", "{\"cursor\":{\"a\":1}}", -32602, "Unknown cursor")]
    public async Task Post_RequestThatCannotBeServed_IsAnsweredInTheProtocol(string path, string method, string parameters, int code, string names)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(path: path);

        using var reply = await client.RequestAsync(method, parameters, id: "\"q\"");

        await RefusedAsync(reply, HttpStatusCode.OK, code, names, "\"q\"");
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"protocolVersion\":5}")]
    [InlineData("{\"protocolVersion\":{\"a\":\"2025-11-25\"}}")]
    public async Task Initialize_WithoutAVersion_IsAnErrorAndNoSession(string parameters)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = gateway.NewClient();

        using var reply = await client.RequestAsync("initialize", parameters, id: "3");

        Assert.Null(reply.Header("Mcp-Session-Id"));
        await RefusedAsync(reply, HttpStatusCode.OK, -32602, "protocolVersion", "3");
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":99,"result":{"nobody":1}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":"x","result":{"nobody":1}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"nobody"}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"nobody"}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody"}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"nobody":1}}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"nobody":1}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody","progress":1}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1.5,"nobody":1}}""")]
    public async Task Post_WhatNobodyAskedFor_Is202AndReachesNoServer(string body)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");

        using var reply = await client.PostAsync(body);

        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
        Assert.Equal("", await reply.BodyAsync());
        await client.ResultAsync("echo");
        Assert.DoesNotContain(gateway.Upstream.Requests, r => r.Body.Contains("nobody", StringComparison.Ordinal));
        Unharmed(gateway);
    }

    [Fact]
    public async Task Post_UnknownNotification_GoesToTheServersAndWaitsForNone()
    {
        var deaf = new FakeUpstream("two") { Intercept = e => (string?)e.Message?["method"] == "notifications/odd" };
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream(), deaf);
        var client = await gateway.ClientAsync(path: "/mcp");
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();

        using var reply = await client.PostAsync("""{"jsonrpc":"2.0","method":"notifications/odd","params":{"a":1}}""");

        // The second server never answers it, and still the client has its 202 and the first server its message.
        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
        await gateway.UntilAsync(() => gateway.Upstreams.All(u => u.Messages("notifications/odd").Count == 1), "both servers had it");
        Unharmed(gateway);
    }

    [Theory]
    [InlineData("POST", "1.0", HttpStatusCode.BadRequest)]
    [InlineData("POST", "2025-11-25, 2025-06-18", HttpStatusCode.BadRequest)]
    [InlineData("GET", "1.0", HttpStatusCode.BadRequest)]
    [InlineData("DELETE", "1.0", HttpStatusCode.BadRequest)]
    [InlineData("GET", "2026-07-28", HttpStatusCode.MethodNotAllowed)]
    [InlineData("DELETE", "2026-07-28", HttpStatusCode.MethodNotAllowed)]
    public async Task Any_VersionHeaderThatIsNotServed_IsRefusedAndNamed(string method, string version, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var header = ("MCP-Protocol-Version", version);

        using var reply = method switch
        {
            "GET" => await client.GetAsync(null, header),
            "DELETE" => await client.DeleteAsync(header),
            _ => await client.PostAsync(Ping, headers: header),
        };

        await RefusedAsync(reply, expected, -32000, expected == HttpStatusCode.BadRequest ? version : "version", method == "POST" ? "\"me\"" : null);
        using var again = await client.PostAsync(Ping);
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Unharmed(gateway);
    }

    public static TheoryData<string> SessionGarbage => [new string('a', 5000), "ü😀", "\u0001\u007f", "../../etc", "' OR 1=1 --", "{id}", "{id}, {id}", "{id} x", "%00", "s-0"];

    [Theory]
    [MemberData(nameof(SessionGarbage))]
    public async Task Any_SessionIdThatIsNone_Is404(string garbage)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var real = client.SessionId!;
        client.SessionId = garbage == "{id}" ? real + "x" : garbage.Replace("{id}", real, StringComparison.Ordinal);

        using var post = await client.PostAsync(Ping);
        using var get = await client.GetAsync();
        using var delete = await client.DeleteAsync();

        await RefusedAsync(post, HttpStatusCode.NotFound, -32001, "Session not found", "\"me\"");
        await RefusedAsync(get, HttpStatusCode.NotFound, -32001, "Session not found", id: null);
        await RefusedAsync(delete, HttpStatusCode.NotFound, -32001, "Session not found", id: null);
        client.SessionId = real;
        using var again = await client.PostAsync(Ping);
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Unharmed(gateway);
    }

    [Fact]
    public async Task Post_NoSessionId_Is400()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await gateway.NewClient().PostAsync(Ping);

        await RefusedAsync(reply, HttpStatusCode.BadRequest, -32000, "Mcp-Session-Id is missing", "\"me\"");
    }

    [Theory]
    [InlineData("x", HttpStatusCode.OK)]
    [InlineData("-1", HttpStatusCode.OK)]
    [InlineData("g-", HttpStatusCode.OK)]
    [InlineData("g\0\0-1", HttpStatusCode.OK)]
    [InlineData("gabcdefghijkl-99999999999999999999", HttpStatusCode.OK)]
    [InlineData("gabcdefghijkl--5", HttpStatusCode.OK)]
    [InlineData("gabcdefghijkl-9223372036854775807", HttpStatusCode.OK)]
    [InlineData("pabcdefghijkl-9223372036854775807", HttpStatusCode.MethodNotAllowed)]
    [InlineData("sabcdefghijkl-5", HttpStatusCode.MethodNotAllowed)]
    public async Task Get_LastEventIdThatIsNone_OpensOrSaysNo(string id, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.GetAsync(id);

        Assert.Equal(expected, reply.Status);
        if (expected == HttpStatusCode.OK)
        {
            Assert.True(reply.IsStream);
            Assert.NotNull(await reply.Events.NextAsync());
        }

        Unharmed(gateway);
    }

    [Theory]
    [InlineData("evil.test")]
    [InlineData("localhost.evil.test")]
    [InlineData("127.0.0.1.nip.io")]
    [InlineData("localhost@evil.test")]
    [InlineData("[::2]")]
    [InlineData("2130706433")]
    public async Task Any_ForeignHost_Is403(string host)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var post = await client.PostAsync(Ping, headers: ("Host", host));
        using var get = await client.GetAsync(null, ("Host", host));

        // Not repeated: it is whatever somebody put there.
        Assert.DoesNotContain(host, await RefusedAsync(post, HttpStatusCode.Forbidden, -32000, "\"hosts\"", id: null), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, get.Status);
        Unharmed(gateway);
    }

    [Fact]
    public async Task Any_ForeignHostOrOrigin_IsLoggedOnceAMinuteForEachKind_WithTheSettingThatLacksIt()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { PublicUrl = new Uri("https://mcp.example.com"), Hosts = ["*.internal.example"] } });
        var client = gateway.NewClient();
        string[] Said(string name) => [.. gateway.LogLines.Lines.Where(line => line.Contains(name, StringComparison.Ordinal))];

        for (var i = 0; i < 3; i++)
        {
            using var host = await client.PostAsync(Ping, headers: ("Host", $"gw{i}.example"));
            using var origin = await client.PostAsync(Ping, headers: [("Host", "mcp.example.com"), ("Origin", $"https://page{i}.example/{new string('x', 1000)}")]);
            Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (host.Status, origin.Status));
        }

        var (refused, page) = (Assert.Single(Said("HostRefused")), Assert.Single(Said("OriginRefused")));
        Assert.Contains("gw0.example", refused, StringComparison.Ordinal);
        Assert.Contains("mcp.example.com", refused, StringComparison.Ordinal);
        Assert.Contains("*.internal.example", refused, StringComparison.Ordinal);
        Assert.Contains("publicUrl", refused, StringComparison.Ordinal);
        Assert.Contains("https://page0.example/", page, StringComparison.Ordinal);
        Assert.Contains("origins", page, StringComparison.Ordinal);
        Assert.InRange(page.Length, 0, 600);

        gateway.Advance(TimeSpan.FromMinutes(1));
        using var later = await client.PostAsync(Ping, headers: ("Host", "later.example"));
        Assert.Equal(2, Said("HostRefused").Length);
    }

    [Theory]
    [InlineData("http://127.0.0.1:3000", null, "127.0.0.1, localhost, [::1]")]
    [InlineData("http://127.0.0.1:3000", "https://mcp.example.com", "127.0.0.1, localhost, mcp.example.com, [::1]")]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "any IP address")]
    [InlineData("http://0.0.0.0:3000", null, "any name")]
    public void Names_OfTheGateway_AreSaid(string listen, string? publicUrl, string part)
    {
        var names = new ServedNames(new MooringConfig { Listen = [listen], PublicUrl = publicUrl is null ? null : new Uri(publicUrl) }).ToString();

        Assert.All(part.Split(", "), one => Assert.Contains(one, names, StringComparison.Ordinal));
    }

    /// <summary>Also where other machines can reach it: a page of another site may have its name lead to the gateway's address, in whatever network that is.</summary>
    [Theory]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "evil.example.com", false)]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "a.mcp.example.com", false)]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "mcp.example.com", true)]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "mcp.example.com:3000", true)]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "localhost:3000", true)]
    [InlineData("http://0.0.0.0:3000", "https://mcp.example.com", "172.17.0.2:3000", true)]
    [InlineData("http://[::]:3000", "https://mcp.example.com", "[fd00::2]:3000", true)]
    [InlineData("http://*:3000", "https://mcp.example.com", "evil.example.com", false)]
    [InlineData("http://10.0.0.7:3000", "https://mcp.example.com", "10.0.0.7:3000", true)]
    [InlineData("http://10.0.0.7:3000", "https://mcp.example.com", "10.0.0.8:3000", false)]
    [InlineData("http://127.0.0.1:3000", "https://mcp.example.com", "172.17.0.2:3000", false)]
    [InlineData("http://0.0.0.0:3000", null, "any.example.com", true)]
    public async Task Any_Host_IsOneOfTheGatewaysOwn_WhereTheConfigurationSaysWhatItIsCalled(string listen, string? publicUrl, string host, bool isServed)
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Listen = [listen], PublicUrl = publicUrl is null ? null : new Uri(publicUrl) } });
        var client = await gateway.ClientAsync();

        using var post = await client.PostAsync(Ping, headers: ("Host", host));
        using var health = new HttpRequestMessage(HttpMethod.Get, "/health");
        health.Headers.Host = host;
        using var healthy = await Limit.Of(gateway.Http.SendAsync(health, TestContext.Current.CancellationToken), "an answer of /health");

        // Balancers ask for health by whatever name or address they have.
        Assert.Equal((isServed ? HttpStatusCode.OK : HttpStatusCode.Forbidden, HttpStatusCode.OK), (post.Status, healthy.StatusCode));
    }

    [Theory]
    [InlineData("plain.example.com", "plain.example.com", true)]
    [InlineData("Plain.example.com", "plain.example.com:8443", true)]
    [InlineData("plain.example.com", "a.plain.example.com", false)]
    [InlineData("port.example.com:8443", "port.example.com:8443", true)]
    [InlineData("port.example.com:8443", "port.example.com", false)]
    [InlineData("port.example.com:8443", "port.example.com:8444", false)]
    [InlineData("port.example.com:443", "port.example.com", true)]
    [InlineData("*.wild.example.com", "a.wild.example.com", true)]
    [InlineData("*.wild.example.com", "a.b.wild.example.com:8443", true)]
    [InlineData("*.wild.example.com", "wild.example.com", false)]
    [InlineData("*.wild.example.com", "evil-wild.example.com", false)]
    [InlineData("[2001:db8::1]", "[2001:db8::1]:3000", true)]
    public async Task Any_HostOfTheConfiguration_PassesAsItIsWritten(string configured, string host, bool passes)
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Hosts = [configured] } });
        var client = await gateway.ClientAsync();

        using var post = await client.PostAsync(Ping, headers: ("Host", host));

        Assert.Equal(passes ? HttpStatusCode.OK : HttpStatusCode.Forbidden, post.Status);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("http://evil.test")]
    [InlineData("http://localhost.evil.test")]
    [InlineData("http://localhost:80@evil.test")]
    [InlineData("http://localhost:99999")]
    [InlineData("http://localhost:80/path")]
    [InlineData("http://localhost, http://evil.test")]
    [InlineData("file://")]
    [InlineData("javascript:alert(1)")]
    public async Task Any_ForeignOrigin_Is403AndGetsNoCors(string origin)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.PostAsync(Ping, headers: ("Origin", origin));

        Assert.Null(reply.Header("Access-Control-Allow-Origin"));
        await RefusedAsync(reply, HttpStatusCode.Forbidden, -32000, "Origin", id: null);
        using var own = await client.PostAsync(Ping, headers: ("Origin", "http://localhost:5173"));
        Assert.Equal(HttpStatusCode.OK, own.Status);
        Assert.Equal("http://localhost:5173", own.Header("Access-Control-Allow-Origin"));
        // What scripts of other origins need of the answer, and would not be shown.
        Assert.Superset(
            new HashSet<string> { "Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate" },
            own.Header("Access-Control-Expose-Headers")!.Split(", ").ToHashSet());
        Unharmed(gateway);
    }

    internal static void Unharmed(GatewayFixture gateway) =>
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Critical", StringComparison.Ordinal));

    private static async Task<string> RefusedAsync(TestReply reply, HttpStatusCode status, int code, string names, string? id)
    {
        Assert.Equal(status, reply.Status);
        var message = await reply.MessageAsync();
        Assert.Equal("2.0", (string?)message["jsonrpc"]);
        Assert.Equal(code, (int?)message["error"]!["code"]);
        Assert.Contains(names, (string?)message["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(id, message["id"]?.ToJsonString());
        Assert.True(message.ContainsKey("id"));
        return message.ToJsonString();
    }

    private static async Task<(HttpStatusCode Status, JsonObject Body)> SendAsync(
        GatewayFixture gateway, McpTestClient client, byte[] body, string? contentType = "application/json", bool chunked = false, string? encoding = null)
    {
        using var content = chunked ? (HttpContent)new StreamContent(new Unseekable(body)) : new ByteArrayContent(body);
        content.Headers.Clear();
        if (contentType is not null)
        {
            content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        if (encoding is not null)
        {
            content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, client.Path) { Content = content };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        request.Headers.TryAddWithoutValidation("Mcp-Session-Id", client.SessionId);
        using var response = await gateway.Http.SendAsync(request);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }

    /// <summary>A body whose length nobody knows beforehand.</summary>
    private sealed class Unseekable(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
