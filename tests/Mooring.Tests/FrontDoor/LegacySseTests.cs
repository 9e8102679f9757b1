using System.Net;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>HTTP+SSE of 2024-11-05, where a session here outlives its stream.</summary>
public sealed class LegacySseTests
{
    [Theory]
    [InlineData("/servers/one/sse", "/servers/one/")]
    [InlineData("/sse", "/")]
    [InlineData("/mcp", "/")]
    [InlineData("/mcp/sse", "/mcp/")]
    [InlineData("/servers/one/mcp", "/servers/one/")]
    [InlineData("/servers/one/sse/", "/servers/one/")]
    [InlineData("/servers/one/mcp/", "/servers/one/")]
    [InlineData("/sse/", "/")]
    [InlineData("/mcp/", "/")]
    [InlineData("/mcp/sse/", "/mcp/")]
    public async Task Get_Opened_FirstEventIsARelativeEndpoint(string path, string folder)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var stream = await gateway.NewClient(path: path).GetAsync();

        Assert.Equal(1000, (await stream.Events.NextAsync())!.Retry);
        var endpoint = (await stream.Events.NextAsync())!;
        Assert.DoesNotContain(':', endpoint.Data!);
        var messages = new Uri(new Uri("http://localhost" + path), endpoint.Data!);
        Assert.StartsWith(folder, messages.AbsolutePath);
        // Behind a proxy that takes a prefix off.
        Assert.Equal("/prefix" + messages.AbsolutePath, new Uri(new Uri("http://localhost/prefix" + path), endpoint.Data!).AbsolutePath);
        using var pinged = await Post(gateway, messages.PathAndQuery, """{"jsonrpc":"2.0","id":1,"method":"ping"}""");
        Assert.Equal(HttpStatusCode.Accepted, pinged.Status);
        Assert.Equal("1", (await stream.MessageAsync()).RawId());
    }

    [Fact]
    public async Task Get_ReconnectsWithLastEventId_IsTheSameSessionAndGetsWhatItMissed()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = gateway.NewClient(path: "/servers/one/sse");
        string id;
        string address;
        UpstreamExchange call;
        using (var stream = await client.GetAsync())
        {
            await stream.Events.NextAsync();
            var endpoint = (await stream.Events.NextAsync())!;
            (id, address) = (endpoint.Id!, "/servers/one/" + endpoint.Data);
            (await Post(gateway, address, Hello)).Dispose();
            Assert.NotNull((await stream.MessageAsync())["result"]);
            (await Post(gateway, address, """{"jsonrpc":"2.0","id":"s","method":"tools/call","params":{"name":"slow"}}""")).Dispose();
            call = await gateway.Upstream.CallAsync();
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        call.Text("kept");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");

        using var again = await client.GetAsync(id);
        await again.Events.NextAsync();
        Assert.Equal(address, "/servers/one/" + (await again.Events.NextAsync())!.Data);
        var answer = await again.MessageAsync();
        Assert.Equal(("\"s\"", "kept"), (answer.RawId(), answer.Text()));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Get_AnewWithoutInitialize_IsServed()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var stream = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await stream.Events.NextAsync();
        var address = "/servers/one/" + (await stream.Events.NextAsync())!.Data;

        (await Post(gateway, address, """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}""")).Dispose();

        Assert.Equal("nothing", (await stream.MessageAsync()).Text());
    }

    [Fact]
    public async Task Session_OfTheOtherTransport_Is404OnBoth()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var stream = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await stream.Events.NextAsync();
        var address = (await stream.Events.NextAsync())!.Data!;
        var older = address[(address.IndexOf('=', StringComparison.Ordinal) + 1)..];
        var newer = await gateway.ClientAsync();
        var stranger = gateway.NewClient();
        stranger.SessionId = older;

        using var posted = await stranger.RequestAsync("ping");
        using var opened = await stranger.GetAsync();
        using var deleted = await stranger.DeleteAsync();
        using var sent = await Post(gateway, $"/servers/one/messages?sessionId={newer.SessionId}", """{"jsonrpc":"2.0","id":1,"method":"ping"}""");

        Assert.All([posted, opened, deleted, sent], reply => Assert.Equal(HttpStatusCode.NotFound, reply.Status));
    }

    [Fact]
    public async Task Post_SessionOfAnotherUser_Is404()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var stream = await gateway.NewClient(path: "/servers/one/sse", user: "ann").GetAsync();
        await stream.Events.NextAsync();
        var address = "/servers/one/" + (await stream.Events.NextAsync())!.Data;

        using var stolen = await gateway.NewClient(path: address, user: "bob").PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");

        Assert.Equal(HttpStatusCode.NotFound, stolen.Status);
    }

    [Fact]
    public async Task Get_LastEventIdOfAnotherUser_IsANewSession()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var stream = await gateway.NewClient(path: "/servers/one/sse", user: "ann").GetAsync();
        await stream.Events.NextAsync();
        var endpoint = (await stream.Events.NextAsync())!;

        using var other = await gateway.NewClient(path: "/servers/one/sse", user: "bob").GetAsync(endpoint.Id);

        await other.Events.NextAsync();
        Assert.NotEqual(endpoint.Data, (await other.Events.NextAsync())!.Data);
    }

    [Fact]
    public async Task Post_BatchAfterItsVersionWasNegotiated_EveryRequestIsAnsweredOnTheStream()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var (stream, address) = await OpenAsync(gateway, "2025-03-26");
        using var open = stream;

        using var reply = await Post(gateway, address,
            """[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}},{"jsonrpc":"2.0","method":"notifications/roots/list_changed"},{"jsonrpc":"2.0","id":"p","method":"ping"}]""");

        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
        string?[] ids = [(await stream.MessageAsync()).RawId(), (await stream.MessageAsync()).RawId()];
        Assert.Equal(["\"p\"", "1"], ids.Order(StringComparer.Ordinal));
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/roots/list_changed").Count == 1, "the server was told");
    }

    [Theory]
    [InlineData("2024-11-05", """[{"jsonrpc":"2.0","id":1,"method":"ping"}]""", -32600, null, "has no batches")]
    [InlineData("2025-03-26", "[]", -32600, null, "The batch is empty")]
    [InlineData("2025-03-26", """[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}},7]""", -32600, null, "Message 2 of the batch")]
    [InlineData("2024-11-05", """{"jsonrpc":"2.0","id":"a","method":{}}""", -32600, "\"a\"", "\"method\" must be")]
    [InlineData("2024-11-05", """{"jsonrpc":"1.0","id":5,"method":"ping"}""", -32600, "5", "\"jsonrpc\" must be")]
    [InlineData("2024-11-05", "{", -32700, null, "Not valid JSON")]
    public async Task Post_NoMessage_Is400WithTheIdWhereItCanBeRead(string version, string body, int code, string? id, string names)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var (stream, address) = await OpenAsync(gateway, version);
        using var open = stream;

        using var reply = await Post(gateway, address, body);

        Assert.Equal(HttpStatusCode.BadRequest, reply.Status);
        var message = await reply.MessageAsync();
        Assert.Equal((code, id), (message.ErrorCode(), message.RawId()));
        Assert.Contains(names, (string?)message["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Theory]
    [InlineData("text/plain", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json-patch+json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", HttpStatusCode.Accepted)]
    public async Task Post_ContentType_MustBeJson(string type, HttpStatusCode expected)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var (stream, address) = await OpenAsync(gateway, "2024-11-05");
        using var open = stream;

        using var reply = await gateway.NewClient(path: address).PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", contentType: type);

        Assert.Equal(expected, reply.Status);
    }

    private static async Task<(TestReply Stream, string Address)> OpenAsync(GatewayFixture gateway, string version)
    {
        var stream = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await stream.Events.NextAsync();
        var address = "/servers/one/" + (await stream.Events.NextAsync())!.Data;
        (await Post(gateway, address, Hello.Replace("2024-11-05", version, StringComparison.Ordinal))).Dispose();
        Assert.Equal(version, (string?)(await stream.MessageAsync())["result"]!["protocolVersion"]);
        return (stream, address);
    }

    private const string Hello =
        """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""";

    private static Task<TestReply> Post(GatewayFixture gateway, string address, string json) => gateway.NewClient(path: address).PostAsync(json);
}
