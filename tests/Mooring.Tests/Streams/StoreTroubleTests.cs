using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Streams;

/// <summary>The store slow, away, and back: streams stay, calls go on where that is safe, nothing is 404, nothing is lost or told twice, and all heals by itself.</summary>
public sealed class StoreTroubleTests
{
    private FaultyStore _store = null!;

    [Fact]
    public async Task Away_StreamsOfEveryKind_StayOpenAndAreKeptAlive_AndFastCallsGoOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var get = await gateway.ListenAsync(client);
        var (post, call) = await gateway.StreamedAsync(client);
        using var sse = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await sse.Events.NextAsync();
        await sse.Events.NextAsync();

        _store.IsAway = true;

        foreach (var stream in new[] { get, post, sse })
        {
            while (stream.Events.HasNext)
            {
                await stream.Events.NextAsync();
            }
        }

        for (var minute = 0; minute < 4; minute++)
        {
            gateway.Advance(TimeSpan.FromSeconds(60));
            foreach (var stream in new[] { get, post, sse })
            {
                Assert.True((await stream.Events.NextAsync())!.Comment);
            }

            Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        }

        gateway.Tell(client, "told at once");
        var told = await get.Events.EventAsync();
        Assert.Equal(("told at once", null), (Data(told), told.Id));
        call.Text("answered");
        Assert.Equal("answered", Assert.Single(await post.Events.RestAsync(), e => e.IsMessage).Message.Text());
        post.Dispose();
    }

    [Fact]
    public async Task Away_SessionOutOfMemory_Is503ForEveryMethodAndKnownAgainAfterwards()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        gateway.Sessions.Forget(gateway.Session(client));
        _store.IsAway = true;

        foreach (var asking in new[] { client.CallAsync("echo"), client.GetAsync(), client.GetAsync("g0123456789abcdef-1"), client.DeleteAsync() })
        {
            using var refused = await Limit.Of(asking, "an answer");
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (refused.Status, refused.Header("Retry-After")));
        }

        _store.IsAway = false;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Away_ManyRequestsAreRefused_TheOutageIsToldOnceAndWithoutAStackForEach()
    {
        var clock = new FakeClock();
        var shared = SharedStore.On(clock);
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Clock = clock, Shared = shared, Server = s => s with { Scope = LinkScope.Shared } });
        await gateway.UntilAsync(() => gateway.Get<Mooring.Drain.Readiness>().IsReady, "the gateway was ready");
        var (client, lost, legacy) = (await gateway.ClientAsync(), await gateway.ClientAsync(), gateway.NewClient(path: "/servers/one/sse"));
        await client.ResultAsync("echo");
        gateway.Sessions.Forget(gateway.Session(lost));
        shared.Store.IsAway = true;
        var before = gateway.LogLines.Lines.Count;

        for (var i = 0; i < 10; i++)
        {
            foreach (var asking in new[]
            {
                lost.CallAsync("echo"), lost.GetAsync(), lost.GetAsync("g0123456789abcdef-1"), lost.DeleteAsync(), legacy.GetAsync(), client.GetAsync("g0123456789abcdef-1"),
                client.CallAsync("echo"), client.RequestAsync("tasks/list"), client.RequestAsync("tasks/get", """{"taskId":"t"}"""), client.RequestAsync("logging/setLevel", """{"level":"error"}"""), client.DeleteAsync(),
                client.RequestAsync("initialize", """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"""),
            })
            {
                using var refused = await gateway.PassTimeAsync(asking, TimeSpan.FromSeconds(6), "an answer");
            }
        }

        var lines = gateway.LogLines.Lines.Skip(before).ToList();
        Assert.DoesNotContain(lines, line => line.Contains("\n   at ", StringComparison.Ordinal));
        Assert.True(lines.Count(l => !l.StartsWith("Debug", StringComparison.Ordinal) && !l.StartsWith("Information", StringComparison.Ordinal)) <= 10, string.Join('\n', lines));
    }

    [Fact]
    public async Task Away_StoreOfSeveralReplicas_SessionsInMemoryAreServedForAsLongAsTheSettingSays()
    {
        var clock = new FakeClock();
        var shared = SharedStore.On(clock);
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions
        {
            Clock = clock,
            Shared = shared,
            Config = c => c with { Cache = c.Cache with { MaxStale = TimeSpan.FromSeconds(20) } },
            Server = s => s with { Commit = CommitRule.Fast },
        });
        var client = await gateway.ClientAsync();
        shared.Store.IsAway = true;

        gateway.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        gateway.Advance(TimeSpan.FromSeconds(10));
        using var late = await Limit.Of(client.CallAsync("echo"), "an answer");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (late.Status, late.Header("Retry-After")));
        shared.Store.IsAway = false;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Away_AnswerComesForAClientThatIsGone_IsThereWhenBothAreBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);
        _store.IsAway = true;

        call.Text("kept");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        using (var early = await Limit.Of(client.GetAsync(id), "an answer"))
        {
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (early.Status, early.Header("Retry-After")));
        }

        _store.IsAway = false;
        using var back = await Limit.Of(client.GetAsync(id), "the head of the stream");
        Assert.Equal("kept", Assert.Single(await back.Events.RestAsync(), e => e.IsMessage).Message.Text());
        using var again = await Limit.Of(client.GetAsync(id), "an answer");
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.Equal("kept", Assert.Single(await again.Events.RestAsync(), e => e.IsMessage).Message.Text());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Away_AnswerComes_IsKeptAsSoonAsTheStoreIsBackWithoutAnybodyAsking(bool isShown)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (reply, call) = await gateway.StreamedAsync(client);
        await reply.Events.NextAsync();
        var id = (await reply.Events.NextAsync())!.Id!;
        if (!isShown)
        {
            reply.Dispose();
            await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        }

        _store.IsAway = true;
        call.Text("kept");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        if (isShown)
        {
            Assert.Equal("kept", (await reply.MessageAsync()).Text());
            Assert.Null(await reply.Events.NextAsync());
        }

        gateway.Advance(TimeSpan.FromSeconds(30));
        _store.IsAway = false;

        // What another replica, or the next process, finds.
        await gateway.UntilAsync(() => Finished(gateway, client, id), "the answer is in the store", TimeSpan.FromSeconds(10));
        Assert.Single(gateway.LogLines.Lines, line => line.StartsWith("Warning EventNotKept", StringComparison.Ordinal));
        reply.Dispose();
    }

    [Fact]
    public async Task Away_MessagesForAClientThatIsGone_AreThereInOrderWhenBothAreBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        string id;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "0");
            id = (await first.Events.EventAsync()).Id!;
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        _store.IsAway = true;
        for (var i = 1; i <= 20; i++)
        {
            gateway.Tell(client, $"{i}");
        }

        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.StartsWith("Warning EventNotKept", StringComparison.Ordinal)), "the store refused one");
        _store.IsAway = false;
        using var again = await gateway.ListenAsync(client, id);
        gateway.Tell(client, "21");
        for (var i = 1; i <= 21; i++)
        {
            var told = await again.Events.EventAsync();
            Assert.Equal($"{i}", Data(told));
            Assert.NotNull(told.Id);
        }
    }

    [Fact]
    public async Task Away_MoreMessagesThanMayWait_AreDroppedAndCounted_ButNoAnswer()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);
        _store.IsAway = true;
        call.Stream();
        for (var i = 0; i < 10; i++)
        {
            await call.SendAsync($$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"{{{new string('x', 60_000)}}}"}}""");
        }

        await call.SendTextAsync("answered");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");

        _store.IsAway = false;
        using var back = await Limit.Of(client.GetAsync(id), "the head of the stream");
        var rest = (await back.Events.RestAsync()).Where(e => e.IsMessage).ToList();
        Assert.InRange(rest.Count, 2, 9);
        Assert.Equal("answered", rest[^1].Message.Text());
        Assert.Single(await gateway.MetricsAsync("""mooring_events_dropped_total{reason="backlog_full"}"""));
    }

    [Fact]
    public async Task OpenedWhileAway_GetStream_HasIdsAndCanBeResumedOnceTheStoreIsBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        _store.IsAway = true;
        string id;
        using (var stream = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "without an id");
            var early = await stream.Events.EventAsync();
            Assert.Equal(("without an id", null), (Data(early), early.Id));
            _store.IsAway = false;
            gateway.Tell(client, "with one");
            var late = await stream.Events.EventAsync();
            Assert.Equal("with one", Data(late));
            id = Assert.IsType<string>(late.Id);
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        gateway.Tell(client, "missed");
        using var again = await gateway.ListenAsync(client, id);
        Assert.Equal("missed", Data(await again.Events.EventAsync()));
    }

    [Fact]
    public async Task OpenedWhileAway_CallStream_HasIdsAndCanBeResumedOnceTheStoreIsBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        _store.IsAway = true;
        var (reply, call) = await gateway.StreamedAsync(client);
        Assert.True((await reply.Events.NextAsync())!.Retry is not null);
        _store.IsAway = false;
        call.Stream();
        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"said"}}""");
        var id = Assert.IsType<string>((await reply.Events.EventAsync()).Id);
        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");

        await call.SendTextAsync("kept");
        using var back = await Limit.Of(client.GetAsync(id), "the head of the stream");
        Assert.Equal("kept", (await back.MessageAsync()).Text());
    }

    [Fact]
    public async Task CommittedButSaidToHaveFailed_MessageThatWasShown_IsNotToldAgain()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await stream.Events.NextAsync();
        await stream.Events.NextAsync();

        _store.LosesAnswers = true;
        gateway.Tell(client, "1");
        Assert.Equal("1", Data(await stream.Events.EventAsync()));
        _store.LosesAnswers = false;
        gateway.Tell(client, "2");
        gateway.Tell(client, "3");

        var second = await stream.Events.EventAsync();
        Assert.Equal("2", Data(second));
        Assert.NotNull(second.Id);
        Assert.Equal("3", Data(await stream.Events.EventAsync()));
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CommittedButSaidToHaveFailed_AnswerThatWaits_IsInTheLogOnce()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);

        _store.LosesAnswers = true;
        call.Text("once");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.StartsWith("Warning EventNotKept", StringComparison.Ordinal)), "the store lost its answer");
        _store.LosesAnswers = false;

        using var back = await Limit.Of(client.GetAsync(id), "the head of the stream");
        Assert.Equal("once", Assert.Single(await back.Events.RestAsync(), e => e.IsMessage).Message.Text());
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CommittedButSaidToHaveFailed_RowOfAStream_IsTakenForWhatItIs()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        _store.LosesAnswers = true;
        using var stream = await gateway.ListenAsync(client);
        _store.LosesAnswers = false;

        gateway.Tell(client, "1");
        var told = await stream.Events.EventAsync();

        Assert.Equal("1", Data(told));
        Assert.NotNull(told.Id);
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CancelledWhileAway_IsOverForTheStoreToo()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, _) = await LoseAsync(gateway, client, "7");
        _store.IsAway = true;
        await client.NotifyAsync("notifications/cancelled", """{"requestId":7}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");

        _store.IsAway = false;
        await gateway.UntilAsync(() => Finished(gateway, client, id), "the store knows that it is over", TimeSpan.FromSeconds(10));
        using var back = await Limit.Of(client.GetAsync(id), "an answer");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, back.Status);
    }

    [Fact]
    public async Task Slow_CommitsWait_StreamsAreKeptAliveAndFastCallsGoOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await stream.Events.NextAsync();
        await stream.Events.NextAsync();

        _store.Hold();
        gateway.Tell(client, "late");
        await gateway.UntilAsync(() => _store.Waiting == 1, "the event is on its way to the store");
        for (var i = 0; i < 4; i++)
        {
            gateway.Advance(TimeSpan.FromSeconds(18.1));
            Assert.True((await stream.Events.NextAsync())!.Comment);
            Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        }

        _store.Release();
        var told = await stream.Events.EventAsync();
        Assert.Equal("late", Data(told));
        Assert.NotNull(told.Id);
    }

    private static bool Finished(GatewayFixture gateway, McpTestClient client, string id)
    {
        var finding = gateway.Get<IStore>().FindStreamAsync(client.SessionId!, id[..id.LastIndexOf('-')], CancellationToken.None);
        return finding.IsCompletedSuccessfully && finding.Result!.State != StreamState.Running;
    }

    private Task<GatewayFixture> StartAsync() =>
        GatewayFixture.StartAsync(new FixtureOptions { Store = time => _store = new FaultyStore(time) }, new FakeUpstream().Hold("slow"));

    /// <summary>A call whose client was given an event id and then lost its connection.</summary>
    private static async Task<(string Id, UpstreamExchange Call)> LoseAsync(GatewayFixture gateway, McpTestClient client, string? requestId = null)
    {
        var (reply, call) = await gateway.StreamedAsync(client, id: requestId);
        await reply.Events.NextAsync();
        var id = (await reply.Events.NextAsync())!.Id!;
        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        return (id, call);
    }

    private static string? Data(TestEvent told) => (string?)told.Message["params"]!["data"];
}
