using System.Text.Json.Nodes;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>Servers of 2025-03-26 may send several messages as one (basic, "Batching"); those of other versions may not.</summary>
public sealed class ServerBatchTests
{
    private const string Progress = """{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":TOKEN,"progress":1}}""";

    [Theory]
    [InlineData("2025-03-26", false)]
    [InlineData("2025-03-26", true)]
    [InlineData("2025-06-18", true)]
    public async Task Batch_OverHttp_IsTakenApart(string version, bool asEvent)
    {
        var upstream = new FakeUpstream { Version = version }.Hold("slow");
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":"mine"}""");
        var call = await upstream.CallAsync();
        var batch = $"[{Progress.Replace("TOKEN", call.ProgressToken, StringComparison.Ordinal)},{Result(call.Id, "done")}]";

        if (asEvent)
        {
            await call.RawAsync($"data: {batch}\n\n");
            call.End();
        }
        else
        {
            call.Raw(new StringContent(batch), "application/json");
        }

        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromMinutes(1), "the head");
        var first = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromMinutes(1), "the first message");
        if (version != "2025-03-26")
        {
            Assert.Equal("outcome_unknown", first.Reason());
            return;
        }

        Assert.Equal("mine", (string?)first["params"]!["progressToken"]);
        Assert.Equal("done", (await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromMinutes(1), "the answer")).Text());
    }

    [Fact]
    public async Task Batch_LongerThanALimit_IsRefusedAsAWhole()
    {
        var upstream = new FakeUpstream { Version = "2025-03-26" }.Hold("slow");
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { Batch = 2 } } }, upstream);
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow");
        var call = await upstream.CallAsync();
        call.Raw(new StringContent($"[{Progress.Replace("TOKEN", "1", StringComparison.Ordinal)},{Progress.Replace("TOKEN", "1", StringComparison.Ordinal)},{Result(call.Id, "done")}]"), "application/json");

        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromMinutes(1), "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal("outcome_unknown", answer.Reason());
        Assert.Contains("more than 2 messages", (string?)answer["error"]!["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Batch_OnALine_IsTakenApart_AndItsAnswersFindTheirCalls()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Connectors = [new Pairs()] });
        var client = await gateway.ClientAsync(path: "/servers/pairs/mcp");

        var answers = await Limit.Of(Task.WhenAll(client.ResultAsync("pairs_echo", """{"n":1}"""), client.ResultAsync("pairs_echo", """{"n":2}""")), "both answers");

        Assert.Equal(["1", "2"], answers.Select(answer => answer.Text()));
    }

    private static string Result(string id, string text) => $$$"""{"jsonrpc":"2.0","id":{{{id}}},"result":{"content":[{"type":"text","text":"{{{text}}}"}] } }""";

    /// <summary>Answers calls in pairs, the last first.</summary>
    private sealed class Pairs : IConnector
    {
        public string Name => "pairs";

        public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
        {
            using var reader = new StreamReader(input);
            await using var writer = new StreamWriter(output) { AutoFlush = true };
            var held = new List<string>();
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                var message = JsonNode.Parse(line)!.AsObject();
                switch ((string?)message["method"])
                {
                    case "initialize":
                        await writer.WriteLineAsync($$$"""{"jsonrpc":"2.0","id":{{{message.RawId()}}},"result":{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"pairs","version":"1"} } }""");
                        break;
                    case "tools/list":
                        await writer.WriteLineAsync($$$"""{"jsonrpc":"2.0","id":{{{message.RawId()}}},"result":{"tools":[{"name":"pairs_echo","inputSchema":{"type":"object"} }] } }""");
                        break;
                    case "tools/call":
                        held.Insert(0, Result(message.RawId()!, message["params"]!["arguments"]!["n"]!.ToJsonString()));
                        if (held.Count == 2)
                        {
                            await writer.WriteLineAsync($"[{string.Join(',', held)}]");
                        }

                        break;
                }
            }
        }
    }
}
