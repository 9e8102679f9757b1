using System.Text;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Calls whose process is at another replica, which the test plays: each runs at most once, and ends in one answer, whatever becomes of its home.</summary>
public sealed class HomeCallTests
{
    private const string Home = "home";

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    [Fact]
    public async Task Call_HomeAnswers_ClientHasTheAnswer()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, Long);
        var calling = client.CallAsync("echo", id: "7");
        var key = await KeyAsync(pair, Home);

        await pair.Store.Replicas.PostAsync(pair.A.Get<Peers>().Name, "answered", "1", Answer(client, key));

        var message = await EndAsync(pair, calling);
        Assert.Equal("done", message.Text());
    }

    [Fact]
    public async Task Call_HomeIsOnlyDoubted_WaitsAndIsPassedOnOnceItLives()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(20));
        var judged = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "TryTakeOverAsync" ? judged.Task : Task.CompletedTask;
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsDoubted(Home), "it is doubted");
        Assert.Equal(Home, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", pair.B.Get<Peers>().Name));

        var calling = client.CallAsync("echo", id: "7");
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Empty(await pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None));
        await pair.Store.Replicas.BeatAsync(Home, "", Long);
        judged.SetResult();

        await pair.Store.Replicas.PostAsync(pair.A.Get<Peers>().Name, "answered", "1", Answer(client, await KeyAsync(pair, Home)));
        var message = await EndAsync(pair, calling);
        Assert.Equal("done", message.Text());
    }

    [Fact]
    public async Task Call_HomeIsDoubtedForLongerThanTheDeadline_EndsAsUnreachable()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(20));
        var judged = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "TryTakeOverAsync" ? judged.Task : Task.CompletedTask;
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsDoubted(Home), "it is doubted");

        var message = await EndAsync(pair, client.CallAsync("echo", id: "7"));

        Assert.Equal("upstream_unreachable", message.Reason());
        Assert.Empty(await pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None));
        judged.SetResult();
    }

    [Fact]
    public async Task Call_HomeHasItAndIsDoubtedForAWhile_StillGetsItsAnswer()
    {
        await using var pair = await StartAsync(deadline: 120);
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(20));
        var calling = client.CallAsync("echo", id: "7");
        var key = await KeyAsync(pair, Home);
        var judged = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "TryTakeOverAsync" ? judged.Task : Task.CompletedTask;
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsDoubted(Home), "it is doubted");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        await pair.Store.Replicas.BeatAsync(Home, "", Long);
        judged.SetResult();
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsAlive(Home), "it lives");

        await pair.Store.Replicas.PostAsync(pair.A.Get<Peers>().Name, "answered", "1", Answer(client, key));
        var message = await EndAsync(pair, calling);

        Assert.Equal("done", message.Text());
    }

    [Fact]
    public async Task Call_HomesMailboxIsFullForAWhile_IsPassedOnOnce_AndIsNotUnsureOfIt()
    {
        await using var pair = await StartAsync(deadline: 120);
        var client = await LivesAtAsync(pair, Home, Long);
        var (isFull, refused) = (true, 0);
        pair.StoreOfA.Before = operation => operation == "PostAsync" && isFull && ++refused > 0 ? throw new MailboxFullException("full") : Task.CompletedTask;
        var calling = client.CallAsync("echo", id: "7");
        await pair.UntilAsync(() => refused > 2, "it was tried again and again");
        isFull = false;
        var key = await KeyAsync(pair, Home);

        // It was certainly read by nobody before: so it may be passed on again.
        await pair.Store.Replicas.PostAsync(pair.A.Get<Peers>().Name, "moved", "1", new Letter(client.SessionId!, key, default).ToBytes());
        var message = await EndAsync(pair, calling);

        Assert.Equal("upstream_unreachable", message.Reason());
        Assert.Single(await pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None));
    }

    [Fact]
    public async Task Call_HomesMailboxStaysFull_EndsWithAnErrorAfterItsDeadline_AndIsNotPassedOnLater()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, Long);
        var isFull = true;
        pair.StoreOfA.Before = operation => operation == "PostAsync" && isFull ? throw new MailboxFullException("full") : Task.CompletedTask;

        var message = await EndAsync(pair, client.CallAsync("echo", id: "7"));

        Assert.Equal("upstream_unreachable", message.Reason());
        isFull = false;
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Empty(await pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None));
    }

    [Fact]
    public async Task Call_HomeHasItAndDies_EndsAsOutcomeUnknown()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(15));
        var calling = client.CallAsync("echo", id: "7");
        await KeyAsync(pair, Home);
        Assert.True(await pair.Store.Replicas.AcknowledgeAsync(Home, 1));

        var message = await EndAsync(pair, calling);

        Assert.Equal("outcome_unknown", message.Reason());
    }

    [Fact]
    public async Task Call_SentBackByOneThatStops_GetsANewHomeAndIsNotPassedOnAgain()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, Long);
        var calling = client.CallAsync("echo", id: "7");
        var key = await KeyAsync(pair, Home);
        var name = pair.A.Get<Peers>().Name;

        await pair.Store.Replicas.PostAsync(name, "moved", "1", new Letter(client.SessionId!, key, default).ToBytes());
        var message = await EndAsync(pair, calling);

        // Run here, where the server of this test cannot be reached that way; what counts is that it was tried, and where.
        Assert.Equal("upstream_unreachable", message.Reason());
        Assert.Contains(pair.A.LogLines.Lines, line => line.Contains("ended as UpstreamUnreachable", StringComparison.Ordinal));
        Assert.Single(pair.A.LogLines.Lines, line => line.StartsWith("Information CallSentAgain: A call of echo to server one is sent again (moved): replica home did not run it", StringComparison.Ordinal));
        Assert.Contains("mooring_calls_replayed_total{server=\"one\",reason=\"moved\"} 1", await pair.A.MetricsAsync("mooring_calls_replayed_total{"));
        Assert.Equal(name, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", Home));
        Assert.Single(await pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None));
    }

    /// <param name="atOther">Whether its client says so to the other gateway.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_WaitsForADoubtedHome_ItsClientCancels_IsRunNowhere(bool atOther)
    {
        await using var pair = await StartAsync(deadline: 120);
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(20));
        var judged = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "TryTakeOverAsync" ? judged.Task : Task.CompletedTask;
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsDoubted(Home) && pair.B.Get<Peers>().IsDoubted(Home), "it is doubted");
        using var answer = await pair.A.PassTimeAsync(client.CallAsync("echo", id: "7"), TimeSpan.FromSeconds(5), "the head of the answer");

        await pair.A.PassTimeAsync(CancelAsync(pair, client, atOther), TimeSpan.FromSeconds(5), "it is taken");

        Assert.DoesNotContain(await pair.A.PassTimeAsync(answer.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the answer"), e => e.IsMessage);
        judged.SetResult();
        await pair.UntilAsync(() => !pair.A.Get<Peers>().IsDoubted(Home) && !pair.B.Get<Peers>().IsDoubted(Home), "it is taken over");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal("nobody", await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", "nobody"));
        Assert.DoesNotContain(pair.A.LogLines.Lines, line => line.Contains("HomeCallLost", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Call_IsCancelledAndThenSentBack_IsRunNowhere()
    {
        await using var pair = await StartAsync();
        var client = await LivesAtAsync(pair, Home, Long);
        using var answer = await pair.A.PassTimeAsync(client.CallAsync("echo", id: "7"), TimeSpan.FromSeconds(5), "the head of the answer");
        var key = await KeyAsync(pair, Home);
        await pair.A.PassTimeAsync(CancelAsync(pair, client, atOther: false), TimeSpan.FromSeconds(5), "it is taken");

        await pair.Store.Replicas.PostAsync(pair.A.Get<Peers>().Name, "moved", "1", new Letter(client.SessionId!, key, default).ToBytes());

        Assert.DoesNotContain(await pair.A.PassTimeAsync(answer.Events.RestAsync(), TimeSpan.FromSeconds(30), "the end of the answer"), e => e.IsMessage);
        Assert.Equal(Home, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", "nobody"));
    }

    /// <inheritdoc cref="Call_WaitsForADoubtedHome_ItsClientCancels_IsRunNowhere"/>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_HomeHasItAndIsDoubted_ItsClientCancels_HomeIsTold(bool atOther)
    {
        await using var pair = await StartAsync(deadline: 120);
        var client = await LivesAtAsync(pair, Home, TimeSpan.FromSeconds(20));
        using var answer = await pair.A.PassTimeAsync(client.CallAsync("echo", id: "7"), TimeSpan.FromSeconds(5), "the head of the answer");
        await KeyAsync(pair, Home);
        var judged = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "TryTakeOverAsync" ? judged.Task : Task.CompletedTask;
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsDoubted(Home) && pair.B.Get<Peers>().IsDoubted(Home), "it is doubted");

        await pair.A.PassTimeAsync(CancelAsync(pair, client, atOther), TimeSpan.FromSeconds(5), "it is taken");

        await pair.UntilAsync(() => pair.Store.Replicas.ReadMailboxAsync(Home, 0, 10, CancellationToken.None).Result.Select(mail => mail.Kind).SequenceEqual(["call", "client"]), "its home is told");
        judged.SetResult();
    }

    /// <summary>Whoever passed it on has looked whether its caller may use that server, and only that one.</summary>
    [Theory]
    [InlineData("one", 1)]
    [InlineData("two", 0)]
    public async Task Letter_OfACall_IsRunAtTheServerItIsMeantForOrNot(string server, int executions)
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync("asking", "", Long);
        var name = pair.B.Get<Peers>().Name;

        await pair.Store.Replicas.PostAsync(name, "call", "1", new Letter(client.SessionId!, $"asking key {name} {server}", Echo).ToBytes());

        Task<IReadOnlyList<MailRecord>> MailAsync() => pair.Store.Replicas.ReadMailboxAsync("asking", 0, 10, CancellationToken.None);
        await pair.UntilAsync(() => MailAsync().Result.Count > 0, "it is answered");
        Assert.Equal(executions == 0, Encoding.UTF8.GetString((await MailAsync())[0].Body.Span).Contains("do not agree yet", StringComparison.Ordinal));
        Assert.Equal(executions, pair.Upstream.Executions("echo"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Letter_OfACall_IsRunByTheOneItIsMeantForAlone(bool isMeantForIt)
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync("asking", "", Long);
        var name = pair.B.Get<Peers>().Name;

        await pair.Store.Replicas.PostAsync(name, "call", "1", new Letter(client.SessionId!, $"asking key {(isMeantForIt ? name : "other")}", Echo).ToBytes());

        Task<IReadOnlyList<MailRecord>> MailAsync() => pair.Store.Replicas.ReadMailboxAsync("asking", 0, 10, CancellationToken.None);
        await pair.UntilAsync(() => MailAsync().Result.Count > 0, "it is answered");
        Assert.Equal([isMeantForIt ? "answered" : "moved"], (await MailAsync()).Select(mail => mail.Kind));
        Assert.Equal(isMeantForIt ? 1 : 0, pair.Upstream.Executions("echo"));
    }

    private static readonly byte[] Echo = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"""u8.ToArray();

    /// <summary>In front of a server whose links cannot move.</summary>
    private static Task<ReplicaPair> StartAsync(int deadline = 15) => ReplicaPair.StartAsync(config: config => ReplicaPair.FastCalls(config) with
    {
        Servers = [.. config.Servers.Select(s => s with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast, Deadline = TimeSpan.FromSeconds(deadline) })],
    });

    /// <summary>A client whose process is at a replica that lives for a while.</summary>
    private static async Task<McpTestClient> LivesAtAsync(ReplicaPair pair, string home, TimeSpan lease)
    {
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync(home, "", lease);
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsAlive(home), "it is known");
        foreach (var replica in new[] { pair.A, pair.B })
        {
            await pair.Store.Replicas.ReleaseHomeAsync(client.SessionId!, "one", replica.Get<Peers>().Name);
        }

        Assert.Equal(home, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", home));
        pair.A.Session(client).Links.ForgetHome(pair.A.Get<UpstreamTable>().Find("one")!);
        return client;
    }

    private static Task CancelAsync(ReplicaPair pair, McpTestClient client, bool atOther) =>
        (atOther ? ReplicaPair.At(pair.B, client) : client).NotifyAsync("notifications/cancelled", """{"requestId":7}""");

    /// <summary>Waits for the letter of the call; its key.</summary>
    private static async Task<string> KeyAsync(ReplicaPair pair, string home)
    {
        IReadOnlyList<MailRecord> mails = [];
        await pair.UntilAsync(() => (mails = pair.Store.Replicas.ReadMailboxAsync(home, 0, 10, CancellationToken.None).Result).Count > 0, "the call came");
        Assert.True(Letter.TryParse(Assert.Single(mails).Body, out var letter));
        Assert.Equal([pair.A.Get<Peers>().Name, home, "one"], letter.Subject.Split(' ').Where((_, i) => i != 1));
        Assert.Equal("tools/call", (string?)JsonNode.Parse(letter.Body.Span)!["method"]);
        return letter.Subject.Split(' ')[1];
    }

    private static async Task<JsonObject> EndAsync(ReplicaPair pair, Task<TestReply> calling)
    {
        using var answer = await pair.A.PassTimeAsync(calling, TimeSpan.FromSeconds(30), "the head of the answer");
        return await pair.A.PassTimeAsync(answer.MessageAsync(), TimeSpan.FromMinutes(1), "the answer");
    }

    private static byte[] Answer(McpTestClient client, string key) => new Letter(
        client.SessionId!, key, Encoding.UTF8.GetBytes("""{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"done"}]}}""")).ToBytes();
}
