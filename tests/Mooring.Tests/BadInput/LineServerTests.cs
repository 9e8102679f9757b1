using System.Text;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.BadInput;

/// <summary>Servers on a line channel that write garbage, too much, too little, or never read: each call has one end, and the next goes on.</summary>
public sealed class LineServerTests
{
    private const string Hello = """{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}""";

    [Theory]
    [InlineData("Server started on stdio\n")]
    [InlineData("\n\r\n  \n")]
    [InlineData("{\"jsonrpc\":\"2.0\"}\n[]\nnull\n{\n")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":987654321,\"result\":{}}\n")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"what\"}}\n")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n")]
    [InlineData("\u001b[32mready\u001b[0m \uFFFD\0\n")]
    public async Task Noise_BeforeAnAnswer_IsPassedOver(string noise)
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            await output(noise);
            await output(Answer(message, Hello));
        });

        var attempt = await stand.CallAsync();

        Assert.Equal(AttemptKind.Answered, attempt.Kind);
    }

    [Fact]
    public async Task Answer_InManyPieces_IsPutTogether()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            foreach (var c in Answer(message, Hello))
            {
                await output(c.ToString());
            }
        });

        Assert.Equal(AttemptKind.Answered, (await stand.CallAsync()).Kind);
    }

    [Fact]
    public async Task Answers_OutOfOrder_FindTheirCalls()
    {
        var held = new List<JsonObject>();
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            if ((string?)message["method"] != "tools/call")
            {
                await output(Answer(message, Hello));
                return;
            }

            held.Add(message);
            if (held.Count == 3)
            {
                held.Reverse();
                await output(string.Concat(held.Select(m => Answer(m, $$"""{"n":{{m["params"]!["n"]}}}"""))));
            }
        });

        var calls = Enumerable.Range(0, 3).Select(n => stand.CallAsync($$"""{"n":{{n}}}""")).ToArray();

        for (var n = 0; n < 3; n++)
        {
            var answer = (await Limit.Of(calls[n], "an answer")).Answer!;
            Assert.Equal($$"""{"n":{{n}}}""", Encoding.UTF8.GetString(answer.Span(answer.Envelope.Result)));
        }
    }

    [Theory]
    [InlineData("\"result\":7", "\"result\" must be an object")]
    [InlineData("\"result\":{},\"error\":{\"code\":1,\"message\":\"\"}", "exactly one of")]
    [InlineData("\"error\":\"no\"", "\"error\" must be an object")]
    public async Task Answer_ThatIsNoMessage_EndsItsCallAtOnce(string body, string names)
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
            await output((string?)message["method"] == "tools/call" ? $$"""{"jsonrpc":"2.0","id":{{message["id"]}},{{body}}}""" + "\n" : Answer(message, Hello)));

        var attempt = await Limit.Of(stand.CallAsync(), "the end of the call");

        Assert.Equal(AttemptKind.Unknown, attempt.Kind);
        Assert.Contains(names, attempt.Detail, StringComparison.Ordinal);
        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(method: "other"), "the next call")).Kind);
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"text\":\"LONG\"}}")]
    [InlineData("{\"id\":ID,\"error\":{\"code\":1,\"message\":\"LONG\"},\"jsonrpc\":\"2.0\"}")]
    [InlineData("{\"result\":{\"text\":\"LONG\"},\"jsonrpc\":\"2.0\",\"id\":ID}")]
    [InlineData("{\"jsonrpc\": \"2.0\", \"result\": {\"text\": \"LONG\"}, \"id\": ID}")]
    [InlineData("{\"result\":{\"text\":\"LONG\",\"id\":7},\"id\":ID,\"jsonrpc\":\"2.0\"} ")]
    public async Task Answer_LongerThanTheLimit_EndsItsCallAtOnceAndTheLinkGoesOn(string answer)
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
            await output((string?)message["method"] == "tools/call"
                ? answer.Replace("ID", message["id"]!.ToJsonString(), StringComparison.Ordinal).Replace("LONG", new string('x', 300_000), StringComparison.Ordinal) + "\n"
                : Answer(message, Hello)));

        var attempt = await Limit.Of(stand.CallAsync(), "the end of the call");

        Assert.Equal(AttemptKind.Unknown, attempt.Kind);
        Assert.Contains("a line longer than the limit of 65536 bytes", attempt.Detail, StringComparison.Ordinal);
        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(method: "other"), "the next call")).Kind);
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":ID,\"method\":\"sampling/createMessage\",\"params\":{\"text\":\"LONG\"}}")]
    [InlineData("{\"method\":\"sampling/createMessage\",\"params\":{\"text\":\"LONG\"},\"jsonrpc\":\"2.0\",\"id\":ID}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":ID,\"method\":\"\"}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"result\":{\"LONG\":[{\"id\":ID}]}}")]
    [InlineData("LONG\"id\":ID}")]
    public async Task BrokenMessage_WithAnIdThatIsTheServersOwn_EndsNobodysCall(string noise)
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            if (message["id"] is { } id)
            {
                await output(noise.Replace("ID", id.ToJsonString(), StringComparison.Ordinal).Replace("LONG", new string('x', 300_000), StringComparison.Ordinal) + "\n");
            }

            await output(Answer(message, Hello));
        });

        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(), "the answer")).Kind);
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"text\":\"?\"}}")]
    [InlineData("{\"result\":{\"text\":\"?\"},\"jsonrpc\":\"2.0\",\"id\":ID}")]
    public async Task Answer_ThatIsNoUtf8_EndsItsCallAtOnceAndTheLinkGoesOn(string answer)
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
            await output((string?)message["method"] == "tools/call"
                ? answer.Replace("ID", message["id"]!.ToJsonString(), StringComparison.Ordinal).Replace('?', Stand.Spoiled) + "\n"
                : Answer(message, Hello)));

        var attempt = await Limit.Of(stand.CallAsync(), "the end of the call");

        Assert.Equal(AttemptKind.Unknown, attempt.Kind);
        Assert.Contains("not valid UTF-8", attempt.Detail, StringComparison.Ordinal);
        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(method: "other"), "the next call")).Kind);
    }

    [Fact]
    public async Task Line_LongerThanTheLimit_IsSkippedAndTheNextIsRead()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            await output(new string('x', 300_000) + "\n");
            await output(Answer(message, Hello));
        });

        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(), "the answer")).Kind);
    }

    [Fact]
    public async Task Line_ThatNeverEnds_DoesNotPileUp()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            if ((string?)message["method"] == "tools/call")
            {
                // Far more than the limit: were it kept, the pipe's reader would hold all of it.
                for (var i = 0; i < 2000; i++)
                {
                    await output(new string('x', 16 * 1024));
                }

                await output("\n");
            }

            await output(Answer(message, Hello));
        });
        var before = GC.GetTotalMemory(forceFullCollection: true);

        Assert.Equal(AttemptKind.Answered, (await Limit.Of(stand.CallAsync(), "the answer")).Kind);

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 16 * 1024 * 1024);
    }

    [Fact]
    public async Task End_InTheMiddleOfALine_MakesTheOutcomeUnknown()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            if ((string?)message["method"] != "tools/call")
            {
                await output(Answer(message, Hello));
                return;
            }

            await output(Answer(message, Hello)[..^5]);
            throw new OperationCanceledException();
        });

        var attempt = await Limit.Of(stand.CallAsync(), "the end");

        Assert.Equal(AttemptKind.Unknown, attempt.Kind);
        Assert.Equal("the connector ended", attempt.Detail);
        Assert.False(stand.Link.IsUsable);
    }

    [Fact]
    public async Task Server_ThatDoesNotRead_HoldsNoCallBeyondItsEnd()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            await output(Answer(message, Hello));
            if ((string?)message["method"] == "initialize")
            {
                // Reads nothing from here on.
                await new TaskCompletionSource().Task;
            }
        });
        using var abandon = new CancellationTokenSource();
        var large = $$"""{"text":"{{new string('x', 200_000)}}"}""";
        var first = stand.CallAsync(large, abandon: abandon);
        var second = stand.CallAsync(abandon: abandon);

        await abandon.CancelAsync();

        Assert.Equal(AttemptKind.Abandoned, (await Limit.Of(first, "the end of the call that could not be written")).Kind);
        Assert.Equal(AttemptKind.Abandoned, (await Limit.Of(second, "the end of the call behind it")).Kind);
    }

    [Fact]
    public async Task Server_ThatDoesNotReadUntilTheDeadline_LosesItsLinkAndWhatNeverLeftIsSaidSo()
    {
        await using var stand = await Stand.OpenAsync(async (message, output) =>
        {
            await output(Answer(message, Hello));
            if ((string?)message["method"] == "initialize")
            {
                // Reads nothing from here on.
                await new TaskCompletionSource().Task;
            }
        });
        using var deadline = new CancellationTokenSource();
        var stuck = stand.Link.CallAsync(new TimedRequest($$"""{"text":"{{new string('x', 200_000)}}"}""", deadline.Token)).AsTask();
        var behind = stand.CallAsync();

        await deadline.CancelAsync();

        Assert.Equal(AttemptKind.Abandoned, (await Limit.Of(stuck, "the end of the call that could not be written")).Kind);
        var never = await Limit.Of(behind, "the end of the call behind it");
        Assert.Equal((AttemptKind.NotExecuted, "it did not read what it was sent"), (never.Kind, never.Detail));
        Assert.False(stand.Link.IsUsable);
        Assert.Equal("it did not read what it was sent", await Limit.Of(stand.Closed, "its owner is told"));
    }

    private sealed class TimedRequest(string parameters, CancellationToken deadline) : PendingRequest
    {
        public override CancellationToken Abandoned => deadline;

        public override bool TimedOut => deadline.IsCancellationRequested;

        public override Message ToMessage() => new(Frame.Parse(JsonRpc.Request(Id, "tools/call", Encoding.UTF8.GetBytes(parameters))));

        public override void OnRelated(Link link, Frame frame) => frame.Dispose();
    }

    private static string Answer(JsonObject message, string result) =>
        message["id"] is { } id ? $$"""{"jsonrpc":"2.0","id":{{id.ToJsonString()}},"result":{{result}}}""" + "\n" : "";

    /// <summary>A link to a scripted server in this process.</summary>
    private sealed class Stand : IAsyncDisposable, IConnector, ILinkOwner
    {
        /// <summary>Written as a byte that begins a character of UTF-8 and has nothing after it.</summary>
        public const char Spoiled = '\u0001';

        private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly GatewayFixture _gateway;
        private readonly Func<JsonObject, Func<string, Task>, Task> _script;

        private Stand(GatewayFixture gateway, Func<JsonObject, Func<string, Task>, Task> script)
        {
            _gateway = gateway;
            _script = script;
        }

        public string Name => "lines";

        public Link Link { get; private set; } = null!;

        /// <summary>Why the link closed, once it has.</summary>
        public Task<string> Closed => _closed.Task;

        public static async Task<Stand> OpenAsync(Func<JsonObject, Func<string, Task>, Task> script)
        {
            var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { BodySize = 64 * 1024 } } });
            var stand = new Stand(gateway, script);
            var upstream = new Upstream("lines", new ServerConfig { Name = "lines" }, stand, gateway.Get<UpstreamServices>());
            var parameters = Encoding.UTF8.GetBytes("""{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""");
            var (link, why) = await Limit.Of(upstream.OpenAsync(new LinkParameters(parameters, ProtocolVersion.V2025_11_25), stand, known: null, CancellationToken.None), "the link");
            Assert.True(link is not null, why);
            stand.Link = link;
            return stand;
        }

        public Task<Attempt> CallAsync(string parameters = "{}", string method = "tools/call", CancellationTokenSource? abandon = null) =>
            Link.RequestAsync(method, Encoding.UTF8.GetBytes(parameters), abandon?.Token ?? CancellationToken.None).AsTask();

        public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
        {
            using var reader = new StreamReader(input, leaveOpen: true);
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                var message = JsonNode.Parse(line)!.AsObject();
                await _script(message, async text => await output.WriteAsync(Bytes(text), cancel)).WaitAsync(cancel);
            }
        }

        public void OnMessage(Link link, Frame frame, PendingRequest? related, Mooring.Stores.EventOrigin? origin = null) => frame.Dispose();

        public Task OnOpenedAsync(Link link, bool again) => Task.CompletedTask;

        public void OnClosed(Link link, string why) => _closed.TrySetResult(why);

        private static byte[] Bytes(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            bytes.AsSpan().Replace((byte)Spoiled, (byte)0xE9);
            return bytes;
        }

        public async ValueTask DisposeAsync()
        {
            await Link.DisposeAsync();
            await _gateway.DisposeAsync();
        }
    }
}
