using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Routing;

/// <summary>Answers and lists on their way to clients of older versions: what those cannot read is changed, on both routes and wherever it comes from.</summary>
public sealed class OlderClientTests
{
    private const string Link = """{"content":[{"type":"resource_link","uri":"test://one/deep","name":"deep"}]}""";

    [Theory]
    [InlineData("2025-03-26", "/servers/one/mcp", "slow", "text")]
    [InlineData("2025-03-26", "/mcp", "one__slow", "text")]
    [InlineData("2025-11-25", "/servers/one/mcp", "slow", "resource_link")]
    public async Task Link_IsTextForAClientThatKnowsNone_AndCanBeReadAllTheSame(string version, string path, string tool, string type)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version, path);
        var posting = client.CallAsync(tool);
        (await gateway.Upstream.CallAsync()).Result(Link);
        using var reply = await Limit.Of(posting, "the answer");

        var block = (await reply.MessageAsync())["result"]!["content"]![0]!;
        Assert.Equal(type, (string?)block["type"]);
        Assert.Contains("test://one/deep", block.ToJsonString(), StringComparison.Ordinal);

        using var read = await Limit.Of(client.RequestAsync("resources/read", """{"uri":"test://one/deep"}"""), "the answer");
        await read.MessageAsync();
        Assert.Contains(gateway.Upstream.Messages("resources/read"), m => (string?)m["params"]!["uri"] == "test://one/deep");
    }

    [Theory]
    [InlineData("/servers/one/mcp")]
    [InlineData("/mcp")]
    public async Task Tools_WithOutputsThatAreNoObjects_AreListedWithoutTheirSchema(string path)
    {
        const string Tools = """[{"name":"list","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}},{"name":"get","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}]""";
        var fake = new FakeUpstream();
        StatelessUpstream.At(fake).Tools = Tools;
        await using var gateway = await GatewayFixture.StartAsync(null, fake);

        var older = await ListAsync(await (await gateway.ClientAsync(path: path)).RequestAsync("tools/list"));
        var same = await ListAsync(await new StatelessClient(gateway.Http, path).RequestAsync("tools/list"));
        var oldest = await ListAsync(await (await gateway.ClientAsync("2025-03-26", path)).RequestAsync("tools/list"));

        Assert.Equal([false, true], older.Select(t => t!["outputSchema"] is not null));
        Assert.Equal([true, true], same.Select(t => t!["outputSchema"] is not null));
        Assert.Equal([true, true], oldest.Select(t => t!["outputSchema"] is not null));
    }

    [Theory]
    [InlineData("2025-06-18", "/servers/one/mcp", "slow", "{}", false)]
    [InlineData("2024-11-05", "/mcp", "one__slow", "{}", false)]
    [InlineData("2025-11-25", "/servers/one/mcp", "slow", """{"elicitation":{"form":{}}}""", false)]
    [InlineData("2025-11-25", "/servers/one/mcp", "slow", """{"elicitation":{"url":{}}}""", true)]
    public async Task PageToVisit_ClientCannotBeAskedTo_IsAnErrorWithTheAddressInItsSentence(string version, string path, string tool, string capabilities, bool asIs)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version, path, capabilities: capabilities);
        var posting = client.CallAsync(tool);
        var call = await gateway.Upstream.CallAsync();
        const string Page = """{"mode":"url","elicitationId":"e1","url":"https://a.test/x","message":"m"}""";
        call.Status(System.Net.HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{call.Id}}}},"error":{"code":-32042,"message":"Sign in.","data":{"elicitations":[{{{{Page}}}}],"more":1}}}""");
        using var reply = await Limit.Of(posting, "the answer");

        var error = (await reply.MessageAsync())["error"]!;
        Assert.Equal(asIs ? (-32042, "Sign in.") : (-32603, "Sign in. Open https://a.test/x in a browser, then try again."), ((int)error["code"]!, (string?)error["message"]));
        Assert.Equal(asIs ? $$$"""{"elicitations":[{{{Page}}}],"more":1}""" : """{"more":1}""", error["data"]!.ToJsonString());
    }

    [Fact]
    public async Task Sampling_WithAudio_IsTextForAClientThatKnowsNone()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2024-11-05", capabilities: """{"sampling":{}}""");
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"audio","data":"AA","mimeType":"audio/wav"}}],"maxTokens":1}}""");
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        Assert.Equal("text", (string?)(await reply.MessageAsync())["params"]!["messages"]![0]!["content"]!["type"]);
    }

    [Theory]
    [InlineData("2025-06-18", true)]
    [InlineData("2025-11-25", false)]
    public async Task Sampling_WithToolsToCall_IsRefusedForAClientThatCannotDeclareThem(string version, bool refused)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version, capabilities: """{"sampling":{"tools":{}}}""");
        var (reply, call) = await gateway.StreamedAsync(client);

        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"tools":[{"name":"x","inputSchema":{"type":"object"}}]}}""");

        using var stream = reply;
        if (refused)
        {
            JsonObject? Refusal() => gateway.Upstream.Requests.Select(r => r.Message).FirstOrDefault(m => m?["id"]?.ToJsonString() == "\"s1\"");
            await gateway.UntilAsync(() => Refusal() is not null, "it is refused");
            Assert.Equal(-32602, (int?)Refusal()!["error"]!["code"]);
        }
        else
        {
            Assert.Single((await reply.MessageAsync())["params"]!["tools"]!.AsArray());
        }
    }

    private static async Task<JsonArray> ListAsync(TestReply reply)
    {
        using (reply)
        {
            return (await reply.MessageAsync())["result"]!["tools"]!.AsArray();
        }
    }
}
