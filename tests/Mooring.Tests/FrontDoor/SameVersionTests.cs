using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Clients without sessions in front of servers without: the gateway routes, and what the two say to each other stays theirs.</summary>
public sealed class SameVersionTests
{
    private const string Question = """{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object"}}}}""";

    [Theory]
    [InlineData("/servers/one/mcp", "slow")]
    [InlineData("/mcp", "one__slow")]
    public async Task Server_AsksBack_TheRetryReachesItWithItsOwnReference(string path, string tool)
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var client = new StatelessClient(gateway.Http, path, capabilities: """{"elicitation":{"form":{}}}""");
        Assert.Contains(tool, (await client.ResultAsync("tools/list"))["result"]!["tools"]!.AsArray().Select(t => (string?)t!["name"]));

        var asking = client.CallAsync(tool, """{"a":1}""");
        (await server.CallAsync()).AsksFor(Question, "\"st\\u0061te \\\"1\\\"\"");
        using var asked = await Limit.Of(asking, "the question");
        var body = await asked.BodyAsync();
        Assert.Contains("\"requestState\":\"st\\u0061te \\\"1\\\"\"", body, StringComparison.Ordinal);
        var question = JsonNode.Parse(body)!["result"]!;
        Assert.Equal(("input_required", "elicitation/create"), ((string?)question["resultType"], (string?)question["inputRequests"]!["who"]!["method"]));

        var answering = client.CallAsync(tool, """{"a":1}""", rest: ""","requestState":"state \"1\"","inputResponses":{"who":{"action":"accept","content":{}}}""");
        var retry = await server.CallAsync();
        Assert.Equal(("slow", "slow"), ((string?)retry.Message!["params"]!["name"], retry.Header("Mcp-Name")));
        Assert.Equal("state \"1\"", (string?)retry.Message["params"]!["requestState"]);
        Assert.Equal("accept", (string?)retry.Message["params"]!["inputResponses"]!["who"]!["action"]);
        retry.Text("done");
        using var answered = await Limit.Of(answering, "the answer");
        Assert.Equal("done", (await answered.MessageAsync()).Text());
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Request_SaysForItselfWhatItsClientCan_AndKeepsItsHeaders()
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var client = new StatelessClient(gateway.Http, capabilities: """{"roots":{},"extensions":{"x.test/y":{"z":1}}}""");

        var calling = client.CallAsync("slow", meta: """{"io.modelcontextprotocol/logLevel":"warning","x.test/trace":"t"}""", headers: ("Mcp-Param-Region", "eu"));
        var call = await server.CallAsync();

        Assert.Equal("""{"roots":{},"extensions":{"x.test/y":{"z":1}}}""", call.Meta("clientCapabilities")!.ToJsonString());
        Assert.Equal(("test", "warning"), ((string?)call.Meta("clientInfo")!["name"], (string?)call.Meta("logLevel")));
        Assert.Equal("t", (string?)call.Message!["params"]!["_meta"]!["x.test/trace"]);
        Assert.Equal("eu", call.Header("Mcp-Param-Region"));
        call.Text("done");
        using var reply = await Limit.Of(calling, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Client_Leaves_TheRequestAtTheServerIsClosed()
    {
        var (gateway, server) = await StartAsync();
        await using var running = gateway;
        var client = new StatelessClient(gateway.Http);
        using var leaves = new CancellationTokenSource();

        _ = client.CallAsync("slow", cancel: leaves.Token);
        var call = await server.CallAsync();
        await leaves.CancelAsync();

        await gateway.UntilAsync(() => call.Aborted.IsCancellationRequested, "the server is hung up on");
    }

    private static async Task<(GatewayFixture Gateway, StatelessUpstream Server)> StartAsync()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        return (await GatewayFixture.StartAsync(null, fake), server);
    }
}
