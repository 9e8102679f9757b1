using System.Text;
using System.Text.Json.Nodes;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>Servers on one channel that do not do their part.</summary>
public sealed class ChannelLinkTests
{
    [Fact]
    public async Task Server_AsksAndAsksAndReadsNoAnswer_ItsLinkIsClosed()
    {
        var server = new Connector("deaf") { Pings = 10_000 };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Connectors = [server] });
        var client = await gateway.ClientAsync(path: "/servers/deaf/mcp");

        var calling = client.CallAsync("deaf_echo");

        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(line => line.Contains("UpstreamNotReading", StringComparison.Ordinal)), "its link is closed");
        using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromMinutes(1), "the answer");
        Assert.Equal("outcome_unknown", (await reply.MessageAsync()).Reason());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Server_AsksAndDoesNotWaitForTheAnswer_OfAClientWithoutSessions_IsAnsweredAllTheSame(bool waitsForTheQuestion)
    {
        var goesOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var server = new Connector("hasty") { Asks = waitsForTheQuestion ? goesOn.Task : Task.CompletedTask };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Connectors = [server] });
        var client = new StatelessClient(gateway.Http, "/servers/hasty/mcp", capabilities: """{"elicitation":{"form":{}}}""");

        // A question is put to the client with the next beat; without one the answer comes first.
        var calling = client.CallAsync("hasty_echo");
        using var first = await (waitsForTheQuestion ? gateway.PassTimeAsync(calling, TimeSpan.FromMinutes(1), "the question") : Limit.Of(calling, "the answer"));
        var answer = await first.MessageAsync();
        if (waitsForTheQuestion)
        {
            var asked = answer["result"]!;
            Assert.Equal("input_required", (string?)asked["resultType"]);
            goesOn.SetResult();
            await gateway.UntilAsync(() => server.HasAnswered, "the call is answered without waiting");
            var key = Assert.Single(asked["inputRequests"]!.AsObject()).Key;
            using var second = await gateway.PassTimeAsync(
                client.CallAsync("hasty_echo", rest: $",\"requestState\":{asked["requestState"]!.ToJsonString()},\"inputResponses\":{{\"{key}\":{{\"action\":\"accept\",\"content\":{{}}}}}}"), TimeSpan.FromMinutes(1), "the second answer");
            answer = await second.MessageAsync();
        }

        Assert.Equal("done", answer.Text());
        await gateway.UntilAsync(() => server.Heard is not null, "the server has an answer to what it asked", TimeSpan.FromSeconds(5));
        Assert.Equal(waitsForTheQuestion ? "accept" : "cancel", (string?)server.Heard!["result"]!["action"]);
    }

    [Fact]
    public async Task Stop_SeveralLinks_AreEndedAtOnceAndNotOneAfterTheOther()
    {
        var (ending, ended) = (0, 0);
        var both = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task EndAsync()
        {
            if (Interlocked.Increment(ref ending) == 2)
            {
                both.SetResult();
            }

            await Limit.Of(both.Task, "the end of the other");
            Interlocked.Increment(ref ended);
        }

        await using (var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Connectors = [new Connector("a") { EndAsync = EndAsync }, new Connector("b") { EndAsync = EndAsync }] }))
        {
            var client = await gateway.ClientAsync(path: "/mcp");
            using var list = await client.RequestAsync("tools/list");
            Assert.Equal("done", (await client.ResultAsync("a_echo")).Text());
            Assert.Equal("done", (await client.ResultAsync("b_echo")).Text());
        }

        Assert.Equal(2, ended);
    }

    [Fact]
    public async Task Stop_SomethingCannotBeSaved_LinksAreEndedAllTheSame()
    {
        FaultyStore store = null!;
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task EndAsync()
        {
            ended.TrySetResult();
            return Task.CompletedTask;
        }

        var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time), Connectors = [new Connector("a") { EndAsync = EndAsync }] });
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");
        store.Before = operation => operation == "TouchSessionsAsync" ? Task.FromException(new InvalidOperationException("scripted bug")) : Task.CompletedTask;
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(1), gateway.Clock), TimeSpan.FromMinutes(2), "time passed");
        Assert.Equal("done", (await client.ResultAsync("a_echo")).Text());

        try
        {
            await gateway.DisposeAsync();
        }
        finally
        {
            Assert.True(ended.Task.IsCompleted, "The stop ended with the failure.");
        }

        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error EndFailed", StringComparison.Ordinal));
    }

    private sealed class Connector(string name) : IConnector
    {
        public string Name => name;

        /// <summary>Questions that it asks at a call, and reads nothing from then on; 0: it answers the call.</summary>
        public int Pings { get; init; }

        /// <summary>It asks the client something at a call, and answers that when this is done, whatever has become of the question; null: it asks nothing.</summary>
        public Task? Asks { get; init; }

        public bool HasAnswered { get; private set; }

        /// <summary>What it was answered.</summary>
        public JsonObject? Heard { get; private set; }

        /// <summary>What it does at its end.</summary>
        public Func<Task> EndAsync { get; init; } = () => Task.CompletedTask;

        public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
        {
            Task SayAsync(string line) => output.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), cancel).AsTask();
            using var reader = new StreamReader(input);
            var served = false;
            try
            {
                while (await reader.ReadLineAsync(cancel) is { } line)
                {
                    var message = JsonNode.Parse(line)!.AsObject();
                    var method = (string?)message["method"];
                    served |= method == "tools/call";
                    Heard = method is null ? message : Heard;
                    if (method == "tools/call" && Asks is { } asks)
                    {
                        await SayAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""");
                        await asks;
                        HasAnswered = true;
                    }

                    if (method == "tools/call" && Pings > 0)
                    {
                        for (var i = 0; i < Pings; i++)
                        {
                            await SayAsync($$"""{"jsonrpc":"2.0","id":{{i}},"method":"ping"}""");
                        }

                        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
                    }

                    var result = method switch
                    {
                        "initialize" => """{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"channel","version":"1"}}""",
                        "tools/list" => $$$"""{"tools":[{"name":"{{{name}}}_echo","inputSchema":{"type":"object"}}]}""",
                        _ => """{"content":[{"type":"text","text":"done"}]}""",
                    };
                    if (message["id"] is not null && method is not null)
                    {
                        await SayAsync($$"""{"jsonrpc":"2.0","id":{{message.RawId()}},"result":{{result}}}""");
                    }
                }
            }
            finally
            {
                if (served)
                {
                    await EndAsync();
                }
            }
        }
    }
}
