using System.Net;
using System.Text;
using Mooring.Host.Cli;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary>The verb's end of a drain: what it prints, and what it answers to the shell.</summary>
public sealed class DrainWatchTests
{
    private static readonly Uri Gateway = new("http://localhost/");

    [Fact]
    public async Task EverythingFinishes_IsFine_ALinePerStageAndPerSecond()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var listening = await gateway.ListenAsync(await gateway.ClientAsync());
        var (output, error) = (new StringWriter(), new StringWriter());

        var code = await gateway.PassTimeAsync(
            new DrainWatch(gateway.Http, Gateway, TimeProvider.System, output, error).RunAsync(CancellationToken.None), TimeSpan.FromSeconds(60), "the verb ended");

        Assert.Equal((0, ""), (code, error.ToString()));
        var lines = Lines(output);
        Assert.Equal("Draining http://localhost, for 39 s at most.", lines[0]);
        Assert.StartsWith("unready: ", lines[1], StringComparison.Ordinal);
        Assert.Equal("     0 s  1 session, 1 stream, 0 calls under way", lines[2]);
        Assert.Single(lines, l => l.StartsWith("unready: ", StringComparison.Ordinal));
        foreach (var second in new[] { 1, 2, 3, 4 })
        {
            Assert.Single(lines, l => l.StartsWith($"     {second} s  ", StringComparison.Ordinal));
        }

        Assert.Matches(@"^Drained in 5\.\d s; nothing was cut off\.", lines[^1]);
    }

    [Fact]
    public async Task CallCutOff_IsNotFine()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("stuck"));
        var (held, _) = await gateway.StreamedAsync(await gateway.ClientAsync("2025-06-18"), "stuck");
        using var reply = held;
        var (output, error) = (new StringWriter(), new StringWriter());

        var code = await gateway.PassTimeAsync(
            new DrainWatch(gateway.Http, Gateway, TimeProvider.System, output, error).RunAsync(CancellationToken.None), TimeSpan.FromSeconds(60), "the verb ended");

        Assert.Equal(1, code);
        Assert.Contains("1 call did not finish and was cut off", error.ToString(), StringComparison.Ordinal);
        Assert.Contains(Lines(output), l => l.StartsWith("finishing_calls: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task StreamLost_GatewayRunsOn_IsFollowedFurther()
    {
        var (code, _, error, asked) = await RunAsync(
            () => Events(Event("unready", 0)), () => throw new HttpRequestException(HttpRequestError.ResponseEnded), () => Events(Event("drained", 7, done: true)));

        Assert.Equal((0, ""), (code, error));
        Assert.Equal(["POST", "GET", "GET"], asked);
    }

    [Fact]
    public async Task StreamLostAgainAndAgain_GivesUp()
    {
        var (code, _, error, asked) = await RunAsync([.. Enumerable.Repeat(() => Events(Event("unready", 0)), 9)]);

        Assert.Equal((1, 3), (code, asked.Count));
        Assert.Contains("again and again", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GatewayDiesMeanwhile_IsSaid()
    {
        var (code, _, error, _) = await RunAsync(
            () => Events(Event("finishing_calls", 6)), () => throw new HttpRequestException(HttpRequestError.ConnectionError));

        Assert.Equal(1, code);
        Assert.Contains("the gateway ended in the stage \"finishing_calls\"", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnotherGatewayInItsPlace_IsSaidAndNotDrained()
    {
        var (code, _, error, asked) = await RunAsync(() => Events(Event("unready", 1)), () => Events(Event(null, 0)));

        Assert.Equal(1, code);
        Assert.Equal(["POST", "GET"], asked);
        Assert.Contains("another one runs there now", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NobodyThere_IsUnreachable()
    {
        var (code, _, error, _) = await RunAsync(() => throw new HttpRequestException(HttpRequestError.ConnectionError, "Connection refused"));

        Assert.Equal(3, code);
        Assert.Contains("cannot reach a gateway at http://localhost: Connection refused.", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound, "text/html", "<html>", 3)]
    [InlineData(HttpStatusCode.OK, "text/html", "<html>", 3)]
    [InlineData(HttpStatusCode.OK, "text/event-stream", "data: hello\n\n", 3)]
    [InlineData(HttpStatusCode.OK, "text/event-stream", "data: {}\n\n", 3)]
    [InlineData(HttpStatusCode.OK, "text/event-stream", "data: []\n\n", 3)]
    [InlineData(HttpStatusCode.Forbidden, "application/json", """{"error":"not you"}""", 1)]
    [InlineData(HttpStatusCode.Forbidden, "application/json", "{}", 1)]
    [InlineData(HttpStatusCode.Forbidden, "text/html", "<html>", 3)]
    public async Task OtherAnswers_AreToldApart(HttpStatusCode status, string type, string body, int expected)
    {
        var (code, _, error, _) = await RunAsync(() => new HttpResponseMessage(status) { Content = new StringContent(body, Encoding.UTF8, type) });

        Assert.Equal(expected, code);
        Assert.StartsWith("mooring: ", error, StringComparison.Ordinal);
        Assert.Equal(body.Contains("not you", StringComparison.Ordinal), error.Contains("not you", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false, 3)]
    [InlineData(true, 1)]
    public async Task GatewayFallsSilent_IsGivenUp(bool afterAnEvent, int expected)
    {
        var clock = new FakeClock();
        using var silent = new SilentStream(afterAnEvent ? Event("unready", 0) : "");
        var running = RunAsync(clock, () => Answer(silent));
        await Limit.Of(silent.Waits, "the verb to wait");
        await clock.WaitForTimersAsync(1);

        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.False(running.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));

        var (code, _, error, _) = await Limit.Of(running, "the verb to give up");
        Assert.Equal(expected, code);
        Assert.Contains("said nothing for 10s", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DrainTakesLongerThanItMay_IsGivenUp_AlthoughCommentsCome()
    {
        var clock = new FakeClock();
        using var talking = new SilentStream(Event("finishing_calls", 0), () => clock.Advance(TimeSpan.FromSeconds(9)));

        var (code, _, error, _) = await Limit.Of(RunAsync(clock, () => Answer(talking)), "the verb to give up");

        Assert.Equal(1, code);
        Assert.Contains("not over after 54s", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:3000", "http://127.0.0.1:3000/")]
    [InlineData("http://*:8080", "http://127.0.0.1:8080/")]
    [InlineData("https://0.0.0.0:8443", "https://127.0.0.1:8443/")]
    [InlineData("http://localhost:80", "http://127.0.0.1/")]
    [InlineData("http://[::1]:3000", "http://[::1]:3000/")]
    [InlineData("http://10.0.0.7:3000", "http://10.0.0.7:3000/")]
    [InlineData("http://10.0.0.7:3000 http://127.0.0.1:3001", "http://127.0.0.1:3001/")]
    [InlineData("http://127.0.0.1:0", null)]
    public void Address_OfAConfiguration_IsOneThisMachineReaches(string listen, string? expected) =>
        Assert.Equal(expected, GatewayAddress.Of(new() { Listen = listen.Split(' ') })?.AbsoluteUri);

    [Theory]
    [InlineData("http://127.0.0.1:3000", true)]
    [InlineData("https://localhost/below/", true)]
    [InlineData("127.0.0.1:3000", false)]
    [InlineData("ftp://127.0.0.1", false)]
    [InlineData("http://127.0.0.1/?a=b", false)]
    [InlineData("", false)]
    public void Address_GivenByAPerson_IsAnAddressOrNone(string text, bool expected) => Assert.Equal(expected, GatewayAddress.TryParse(text, out _));

    private static string Event(string? stage, double seconds, bool done = false) =>
        $"event: message\ndata: {{\"stage\":{(stage is null ? "null" : $"\"{stage}\"")},\"sessions\":1,\"streams\":1,\"calls\":1,\"seconds\":{seconds},\"secondsAtMost\":39,\"cutOff\":0,\"done\":{(done ? "true" : "false")}}}\n\n";

    private static HttpResponseMessage Answer(Stream stream) => new(HttpStatusCode.OK)
    {
        Content = new StreamContent(stream) { Headers = { { "Content-Type", "text/event-stream" } } },
    };

    private static HttpResponseMessage Events(string events) => new(HttpStatusCode.OK) { Content = new StringContent(events, Encoding.UTF8, "text/event-stream") };

    private static Task<(int Code, string Output, string Error, IReadOnlyList<string> Asked)> RunAsync(params Func<HttpResponseMessage>[] answers) =>
        Limit.Of(RunAsync(new FakeClock(), answers), "the verb to end");

    private static async Task<(int Code, string Output, string Error, IReadOnlyList<string> Asked)> RunAsync(FakeClock clock, params Func<HttpResponseMessage>[] answers)
    {
        var asked = new List<string>();
        using var http = new HttpClient(new Script(asked, answers)) { Timeout = Timeout.InfiniteTimeSpan };
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await new DrainWatch(http, Gateway, clock, output, error).RunAsync(CancellationToken.None);
        return (code, output.ToString(), error.ToString(), asked);
    }

    private static string[] Lines(StringWriter output) => output.ToString().TrimEnd().Split(Environment.NewLine);

    /// <summary>Answers one after the other.</summary>
    private sealed class Script(List<string> asked, Func<HttpResponseMessage>[] answers) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            asked.Add(request.Method.Method);
            Assert.Equal("http://localhost/admin/api/drain", request.RequestUri!.AbsoluteUri);
            return Task.FromResult(answers[asked.Count - 1]());
        }
    }

    /// <summary>Says one thing and then nothing more, or only comments, each after a while.</summary>
    private sealed class SilentStream(string first, Action? beforeComment = null) : Stream
    {
        private readonly TaskCompletionSource _waits = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private byte[] _left = Encoding.UTF8.GetBytes(first);

        public Task Waits => _waits.Task;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_left is { Length: > 0 } left)
            {
                _left = [];
                left.CopyTo(buffer);
                return left.Length;
            }

            if (beforeComment is not null)
            {
                beforeComment();
                ":\n\n"u8.CopyTo(buffer.Span);
                return 3;
            }

            _waits.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return 0;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
