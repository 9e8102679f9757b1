using System.Net;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.BadInput;

/// <summary>Servers of HTTP+SSE (2024-11-05) that say what is no message, no stream, or not theirs to say.</summary>
public sealed class SseServerTests
{
    private const string Unknown = "outcome_unknown";
    private const string Unreachable = "upstream_unreachable";

    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    private static readonly Dictionary<string, (Action<UpstreamExchange> Get, string Says)> Openings = new()
    {
        ["endpoint of another origin"] = (Begins("event: endpoint\ndata: https://evil.test/mcp\n\n"), "another origin, https://evil.test"),
        ["endpoint of another port"] = (Begins("event: endpoint\ndata: http://one.test:8080/mcp\n\n"), "another origin, http://one.test:8080"),
        ["endpoint of another scheme"] = (Begins("event: endpoint\ndata: https://one.test/mcp\n\n"), "another origin, https://one.test"),
        ["a message first"] = (Begins("data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n"), "did not begin with an endpoint event"),
        ["no address"] = (Begins("event: endpoint\ndata: http://[\n\n"), "did not begin with an endpoint event"),
        ["a stream that ends"] = (e => { Begins(": hello\n\n")(e); e.End(); }, "did not begin with an endpoint event"),
        ["HTML"] = (e => e.Status(HttpStatusCode.OK, "<html>", "text/html"), "no event stream that can be read"),
        ["a redirect"] = (e => e.Redirect(HttpStatusCode.Found, "https://evil.test/sse"), "HTTP 302"),
        ["compressed"] = (e => e.Raw(new ByteArrayContent([0x8b, 0x02, 0x80]), "text/event-stream", "br"), "no event stream that can be read"),
    };

    private static readonly Dictionary<string, (Func<UpstreamExchange, UpstreamExchange, Task> Answer, string Reason, string Says)> Answers = new()
    {
        ["cut mid-event"] = (async (_, stream) => { await stream.RawAsync("data: {\"jsonrpc\""); stream.Cut(); }, Unknown, "cut"),
        ["ends mid-event"] = (async (_, stream) => { await stream.RawAsync("data: {\"jsonrpc\""); stream.End(); }, Unknown, "cut"),
        ["ends"] = ((_, stream) => { stream.End(); return Task.CompletedTask; }, Unknown, "ended"),
        ["event without end"] = (async (_, stream) => await stream.RawAsync("data: " + new string('x', 9000)), Unknown, "larger than the limit of 4096"),
        ["result that is none"] = (async (call, stream) => await stream.SendAsync($$"""{"jsonrpc":"2.0","id":{{call.Id}},"result":7}"""), Unknown, "\"result\" must be an object"),
        ["500"] = (Status(500), Unknown, "HTTP 500"),
        ["502"] = (Status(502), Unknown, "HTTP 502"),
        ["503"] = (Status(503), Unknown, "HTTP 503"),
    };

    private readonly SseServer _server = new();

    public static TheoryData<string> OpeningNames => [.. Openings.Keys];

    public static TheoryData<string> AnswerNames => [.. Answers.Keys];

    /// <summary>A foreign endpoint would get the headers that are meant for the server alone (2024-11-05, basic/transports).</summary>
    [Theory]
    [MemberData(nameof(OpeningNames))]
    public async Task Stream_ThatBeginsWrong_IsNoLink_AndNothingIsPostedAnywhere(string name)
    {
        var (get, says) = Openings[name];
        await using var gateway = await StartAsync(e =>
        {
            if (e.HttpMethod == "GET")
            {
                get(e);
                return true;
            }

            return false;
        });
        var client = await gateway.ClientAsync();

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal((Unreachable, "no"), (answer.Reason(), answer.Executed()));
        Assert.Contains(says, (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.DoesNotContain(gateway.Upstream.Requests, e => e.HttpMethod == "POST");
        Assert.All(gateway.Upstream.Requests, e => Assert.Equal("one.test", e.Host));
    }

    [Theory]
    [MemberData(nameof(AnswerNames))]
    public async Task Call_AnsweredWithGarbage_EndsInOneExplicitError_AndIsNotSentAgain(string name)
    {
        var (respond, reason, says) = Answers[name];
        var calls = 0;
        await using var gateway = await StartAsync(e =>
        {
            if ((string?)e.Message?["method"] != "tools/call" || Interlocked.Increment(ref calls) > 1)
            {
                return false;
            }

            _ = respond(e, _server.StreamOf(e));
            if (!e.Response.IsCompleted)
            {
                e.Status(HttpStatusCode.Accepted);
            }

            return true;
        });
        var client = await gateway.ClientAsync();

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal(reason, answer.Reason());
        Assert.Contains(says, (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(1, calls);
        Assert.Equal("done", (await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the next answer")).Text());
    }

    /// <summary>What is no answer to anything is passed over; the right one still counts.</summary>
    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":987654321,"result":{"content":[]}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":"ID","result":{"content":[]}}""")]
    [InlineData("what")]
    [InlineData("""[1]""")]
    public async Task Call_AnsweredAfterNonsense_GetsItsAnswer(string nonsense)
    {
        await using var gateway = await StartAsync(e =>
        {
            if ((string?)e.Message?["method"] == "tools/call")
            {
                _ = _server.StreamOf(e).RawAsync($"data: {nonsense.Replace("ID", e.Id, StringComparison.Ordinal)}\n\nevent: other\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{e.Id},\"result\":{{}}}}\n\n");
            }

            return false;
        });
        var client = await gateway.ClientAsync();

        Assert.Equal("done", (await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer")).Text());
    }

    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(429)]
    public async Task Message_Refused_WasNotExecuted(int status)
    {
        await using var gateway = await StartAsync(e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            e.Status((HttpStatusCode)status);
            return true;
        });
        var client = await gateway.ClientAsync();

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("no", answer.Executed());
        Assert.Contains($"HTTP {status}", (string?)answer["error"]!["message"], StringComparison.Ordinal);
    }

    private static Action<UpstreamExchange> Begins(string text) => e => _ = e.Stream().RawAsync(text);

    private static Func<UpstreamExchange, UpstreamExchange, Task> Status(int status) => (call, _) =>
    {
        call.Status((HttpStatusCode)status);
        return Task.CompletedTask;
    };

    /// <param name="bad">Deals with some of what comes.</param>
    private Task<GatewayFixture> StartAsync(Func<UpstreamExchange, bool> bad) => GatewayFixture.StartAsync(
        new FixtureOptions
        {
            Server = s => s with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast },
            Config = c => c with { Limits = c.Limits with { BodySize = 4096 } },
        },
        new FakeUpstream { Intercept = e => bad(e) || _server.Handle(e) });
}
