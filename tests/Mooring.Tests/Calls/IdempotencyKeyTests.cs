using System.Text;
using System.Text.Json.Nodes;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>By its key a server can tell a repetition from another call; everything else passes as it came.</summary>
public sealed class IdempotencyKeyTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData("""{"name":"x"}""", """{"_meta":{KEY},"name":"x"}""")]
    [InlineData("""{ "name" : "x" }""", """{"_meta":{KEY}, "name" : "x" }""")]
    [InlineData("{}", """{"_meta":{KEY}}""")]
    [InlineData("{ \n}", "{\"_meta\":{KEY} \n}")]
    [InlineData("""{"name":"x","_meta":{}}""", """{"name":"x","_meta":{KEY}}""")]
    [InlineData("""{"name":"x","_meta": { "a/b":[1.50,null],"progressToken":"p"} , "z":1E0}""", """{"name":"x","_meta": {KEY, "a/b":[1.50,null],"progressToken":"p"} , "z":1E0}""")]
    [InlineData("""{"name":"x","_meta":null}""", """{"name":"x","_meta":null}""")]
    [InlineData("""{"name":"x","_meta":{"io.mooring/idempotencyKey":"of the client"}}""", """{"name":"x","_meta":{"io.mooring/idempotencyKey":"of the client"}}""")]
    [InlineData("""{"name":"x","_meta":{"io.mooring\/idempotencyKey":null}}""", """{"name":"x","_meta":{"io.mooring\/idempotencyKey":null}}""")]
    [InlineData(null, null)]
    public void In_AnyParams_AddsOneKeyAndLeavesAllOtherBytes(string? before, string? after)
    {
        var request = Frame.Parse(Encoding.UTF8.GetBytes($$"""{"jsonrpc":"2.0","id":1,"method":"tools/call"{{(before is null ? "" : ",\"params\":" + before)}}}"""));

        var sent = Send(request, call: 77);

        var key = JsonNode.Parse(sent)!["params"]?["_meta"]?[IdempotencyKey.Name]?.ToJsonString();
        Assert.Equal(after is null ? "" : after.Replace("KEY", $"\"{IdempotencyKey.Name}\":{key}", StringComparison.Ordinal), ParamsOf(sent));
        Assert.Equal(after?.Contains("KEY", StringComparison.Ordinal) == true, Send(request, call: 78) != sent);
        Assert.Equal(sent, Send(request, call: 77));
    }

    [Theory]
    [InlineData("/servers/one/mcp", LinkScope.Session)]
    [InlineData("/servers/one/mcp", LinkScope.Shared)]
    [InlineData("/mcp", LinkScope.Session)]
    [InlineData("/mcp", LinkScope.Shared)]
    public async Task Call_SentAgain_HasTheSameKey_AndAnotherCallAnotherOne(string path, LinkScope scope)
    {
        await using var gateway = await StartAsync(s => s with { Scope = scope });
        var client = await gateway.ClientAsync(path: path);
        using var list = await client.RequestAsync("tools/list");
        var tool = path == "/mcp" ? "one__repeats" : "repeats";

        var posting = client.CallAsync(tool, """{"n":1.0}""", meta: """{"progressToken":"t"}""");
        var first = await gateway.Upstream.CallAsync();
        first.Fail(HttpRequestError.ResponseEnded);
        var trying = gateway.Upstream.CallAsync();
        await gateway.PassTimeAsync(trying, AMinute, "the second try");
        var second = await trying;
        second.Text("done");
        using var reply = await Limit.Of(posting, "the answer");
        await reply.MessageAsync();
        var posted = client.CallAsync(tool);
        var other = await gateway.Upstream.CallAsync();
        other.Text("done");
        using var otherReply = await Limit.Of(posted, "the answer");

        Assert.NotNull(KeyOf(first));
        Assert.Equal(KeyOf(first), KeyOf(second));
        Assert.NotNull(KeyOf(other));
        Assert.NotEqual(KeyOf(first), KeyOf(other));
        var token = scope == LinkScope.Shared ? second.Id : "\"t\"";
        Assert.Equal(
            $$$"""{"name":"repeats","arguments":{"n":1.0},"_meta":{"{{{IdempotencyKey.Name}}}":"{{{KeyOf(second)}}}","progressToken":{{{token}}}}}""", ParamsOf(second.Body));
    }

    [Theory]
    [InlineData(KeyRule.Default, "slow", false)]
    [InlineData(KeyRule.Default, "reads", false)]
    [InlineData(KeyRule.Default, "repeats", true)]
    [InlineData(KeyRule.Default, "allowed", true)]
    [InlineData(KeyRule.Default, "forbidden", false)]
    [InlineData(KeyRule.Default, "keyed", true)]
    [InlineData(KeyRule.Default, "unlisted", false)]
    [InlineData(KeyRule.Always, "slow", true)]
    [InlineData(KeyRule.Always, "reads", true)]
    [InlineData(KeyRule.Always, "keyless", false)]
    [InlineData(KeyRule.Never, "repeats", false)]
    [InlineData(KeyRule.Never, "keyed", true)]
    public async Task Call_ByRuleAndTool_HasAKeyOrPassesAsItCame(KeyRule server, string tool, bool hasKey)
    {
        await using var gateway = await StartAsync(s => s with { IdempotencyKey = server });
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync(tool, """{ "a" : 1E0 }""");
        var call = await gateway.Upstream.CallAsync();
        call.Text("done");
        using var reply = await Limit.Of(posting, "the answer");

        Assert.Equal(hasKey, KeyOf(call) is not null);
        var meta = hasKey ? $$$"""
            "_meta":{"{{{IdempotencyKey.Name}}}":"{{{KeyOf(call)}}}"},
            """ : "";
        Assert.Equal($$$"""{{{{meta}}}"name":"{{{tool}}}","arguments":{ "a" : 1E0 }}""", ParamsOf(call.Body));
    }

    [Fact]
    public async Task OtherRequests_Never_HaveAKey()
    {
        await using var gateway = await StartAsync(s => s with { IdempotencyKey = KeyRule.Always });
        var client = await gateway.ClientAsync();

        using var reply = await Limit.Of(client.RequestAsync("prompts/get", """{"name":"p"}"""), "the answer");

        await reply.MessageAsync();
        var request = Assert.Single(gateway.Upstream.Messages("prompts/get"));
        Assert.Equal("""{"name":"p"}""", request["params"]!.ToJsonString());
    }

    private static string Send(Frame request, long call)
    {
        var message = new Message(request).Replace(request.Envelope.Id, 5);
        return Encoding.UTF8.GetString((IdempotencyKey.In(request, call) is { } key ? message.Replace(key.Where, key.With) : message).ToArray());
    }

    private static string? KeyOf(UpstreamExchange call) => (string?)call.Message!["params"]!["_meta"]?[IdempotencyKey.Name];

    private static string ParamsOf(string message)
    {
        var frame = Frame.Parse(Encoding.UTF8.GetBytes(message));
        return Encoding.UTF8.GetString(frame.Span(frame.Envelope.Params));
    }

    private static Task<GatewayFixture> StartAsync(Func<ServerConfig, ServerConfig> server) => GatewayFixture.StartAsync(
        new FixtureOptions
        {
            Server = s => server(s with
            {
                Tools = new Dictionary<string, ToolConfig>(StringComparer.Ordinal)
                {
                    ["allowed"] = new() { Replay = true },
                    ["forbidden"] = new() { Replay = false },
                    ["keyed"] = new() { IdempotencyKey = KeyRule.Always },
                    ["keyless"] = new() { IdempotencyKey = KeyRule.Never },
                },
            }),
        },
        new FakeUpstream().Hold("slow").Hold("reads", readOnly: true).Hold("repeats", idempotent: true).Hold("allowed")
            .Hold("forbidden", idempotent: true).Hold("keyed").Hold("keyless", idempotent: true));
}
