using System.Net;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <content>Calls, which are on record where their client does not know of a dead process by the end of its stream.</content>
public sealed partial class ReplicaLegacyTests
{
    [Fact]
    public async Task Call_TakenWhereTheStreamIsNot_IsOnRecordBeforeItIsTakenAndUntilItsAnswerIsOnItsWay()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);

        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);
        var call = Assert.Single(await RunningAsync(pair));
        Assert.Equal((pair.B.Get<Peers>().Name, "one", $"{asked}"), (call.Replica, call.Server, Assert.Single(call.RequestIds)));

        var (isHeld, held) = pair.Store.Store.Hold("PostAsync");
        (await pair.Upstream.CallAsync()).Text("done");
        await pair.UntilAsync(isHeld, "its answer is about to be sent to the other one");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Single(await RunningAsync(pair));
        held.SetResult();

        await AnsweredAsync(pair, stream, asked);
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_TakenWhereTheStreamIs_IsOnRecordOnceItMayOutliveTheStream()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);

        var asked = await PostAsync(pair.A, endpoint.Data!, "tools/call", Slow);
        await pair.PassAsync(TimeSpan.FromMilliseconds(700));
        Assert.Empty(await RunningAsync(pair));
        await pair.UntilAsync(() => RunningAsync(pair).Result.Count == 1, "it is on record");

        (await pair.Upstream.CallAsync()).Text("done");
        await AnsweredAsync(pair, stream, asked);
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_CancelledByItsClient_IsOnRecordNoMore()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);
        Assert.Single(await RunningAsync(pair));

        await SendAsync(pair.B, endpoint.Data!, $$$"""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{{{asked}}}}}""");

        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_TakenWhileTheStoreTakesLong_IsNotKeptWaitingForIt()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.B);
        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");

        var (isHeld, held) = pair.StoreOfA.Hold("OpenStreamAsync");
        var taking = PostAsync(pair.A, endpoint.Data!, "tools/call", Slow);
        await pair.UntilAsync(isHeld, "its record is on its way");
        var asked = await pair.A.PassTimeAsync(taking, Soon, "it is taken");
        (await pair.Upstream.CallAsync()).Text("done");
        await AnsweredAsync(pair, stream, asked);

        var (isClosing, closed) = (false, new TaskCompletionSource());
        pair.StoreOfA.Before = name =>
        {
            isClosing |= name == "SetStreamStateAsync";
            return isClosing ? closed.Task : Task.CompletedTask;
        };
        held.SetResult();
        await pair.UntilAsync(() => isClosing, "the record is to end");
        Assert.Single(await RunningAsync(pair));
        closed.SetResult();
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_AnsweredWhileTheStoreFails_IsOnRecordNoMoreOnceItIsBack()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);

        var failures = 0;
        pair.Store.Store.Before = FailingWhere(name => name == "SetStreamStateAsync" && ++failures <= 3);
        (await pair.Upstream.CallAsync()).Text("done");
        await AnsweredAsync(pair, stream, asked);

        await IsOnRecordNoMoreAsync(pair);
        Assert.True(failures > 3);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_OfOneThatWasTakenForDead_IsAnsweredByItsHeirAlone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);
        var call = await pair.Upstream.CallAsync();
        var (b, before) = (pair.B.Get<Peers>(), pair.B.Get<Peers>().Name);

        pair.Store.Store.Before = FailingWhere(name => name == $"BeatAsync {before}");
        var answer = await pair.A.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "what the heir says");
        Assert.Equal(($"{asked}", "outcome_unknown"), (answer.RawId(), answer.Reason()));
        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => b.Name != before, "it goes on under another name");
        call.Text("late");
        await pair.PassAsync(TimeSpan.FromSeconds(2));

        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_AnsweredWhileItsClientHasNoStream_IsOnRecordUntilItHasOne()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.A);
        before.Dispose();
        await IsOverAsync(pair);
        var asked = await PostAsync(pair.A, endpoint.Data!, "tools/call", Slow);
        Assert.Single(await RunningAsync(pair));
        (await pair.Upstream.CallAsync()).Text("done");
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Single(await RunningAsync(pair));

        var (stream, _) = await OpenAsync(pair.B, endpoint.Id);
        await AnsweredAsync(pair, stream, asked);
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_OfAReplicaThatDied_EndsWithAnHonestAnswerOnTheStream()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        await pair.Store.Store.OpenStreamAsync(
            new StreamRecord
            {
                SessionId = SessionOf(endpoint),
                StreamId = EventId.NewRecord(),
                Kind = StreamKind.Post,
                State = StreamState.Running,
                RequestIds = ["\"of the dead\""],
                Server = "one",
                Replica = "dead",
                Changed = pair.A.Clock.GetUtcNow(),
            },
            primer: null);

        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        var answer = await pair.A.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "the answer");

        Assert.Equal(("\"of the dead\"", "outcome_unknown"), (answer.RawId(), answer.Reason()));
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Call_TheStoreDidNotTakeItsRecordAtFirst_IsOnRecordLater()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        var failures = 0;
        pair.Store.Store.Before = FailingWhere(name => name == "OpenStreamAsync" && ++failures <= 2);

        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);
        Assert.Empty(await RunningAsync(pair));
        await pair.UntilAsync(() => RunningAsync(pair).Result.Count == 1, "it is on record");

        (await pair.Upstream.CallAsync()).Text("done");
        await AnsweredAsync(pair, stream, asked);
        await IsOnRecordNoMoreAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_LargerThanAllThatMayWait_ReachesTheStreamAtTheOther()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        var asked = await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow);

        (await pair.Upstream.CallAsync()).Text(new string('x', 300_000));

        await AnsweredAsync(pair, stream, asked);
        stream.Dispose();
    }

    [Fact]
    public async Task Answers_TogetherLargerThanAllThatMayWait_AllReachTheStreamAtTheOther()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        List<(int Asked, UpstreamExchange Call)> calls = [];
        for (var i = 0; i < 4; i++)
        {
            calls.Add((await PostAsync(pair.B, endpoint.Data!, "tools/call", Slow), await pair.Upstream.CallAsync()));
        }

        var (isHeld, held) = pair.Store.Store.Hold("PostAsync");
        calls.ForEach(call => call.Call.Text(new string('x', 100_000)));
        await pair.UntilAsync(isHeld, "the first is about to be sent to the other one");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        held.SetResult();

        var answered = new List<string>();
        while (answered.Count < calls.Count)
        {
            answered.Add((await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, "an answer")).RawId()!);
        }

        Assert.Equal(calls.Select(call => $"{call.Asked}").Order(), answered.Order());
        stream.Dispose();
    }

    [Theory]
    [InlineData(256, 4)]
    [InlineData(2, 2)]
    public async Task Answers_TogetherLargerThanAllThatMayWait_NobodyHasTheStream_AsManyWaitAsMayBeAskedForAtOnce(int atOnce, int told)
    {
        await using var pair = await ReplicaPair.StartAsync(config: config => config with { Limits = config.Limits with { CallsPerSession = atOnce } });
        var (before, endpoint) = await ConnectAsync(pair, pair.A);
        before.Dispose();
        await IsOverAsync(pair);
        for (var i = 0; i < 4; i++)
        {
            await PostAsync(pair.A, endpoint.Data!, "tools/call", Slow);
            (await pair.Upstream.CallAsync()).Text(new string('x', 120_000));
            await pair.A.UntilAsync(() => pair.A.Runner.Running == 0, "it is answered");
        }

        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        for (var i = 0; i < told; i++)
        {
            Assert.NotNull((await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, "an answer"))["result"]!["content"]);
        }

        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_InTheMailboxOfTheLastReplicaThatStops_IsToldByTheNextProcess()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.B);
        before.Dispose();
        await IsOverAsync(pair);
        var asked = await PostAsync(pair.A, endpoint.Data!, "tools/call", Slow);
        (await pair.Upstream.CallAsync()).Text("done");
        await IsOnRecordNoMoreAsync(pair);
        Assert.Single(Mail(pair, pair.B.Get<Peers>().Name));

        await pair.StopAAsync();
        await pair.StopBAsync();
        await using var next = await GatewayFixture.StartAsync(new FixtureOptions { Clock = pair.A.Clock, Shared = pair.Store }, pair.Upstream);
        var (stream, _) = await OpenAsync(next, endpoint.Id);

        Assert.Equal($"{asked}", (await next.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "the answer")).RawId());
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_PostedAndTheStoresAnswerIsLost_AndTheStreamComesToTheSender_IsToldOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.B);
        await AskAsync(pair, before, pair.A, endpoint.Data!, "ping");
        before.Dispose();
        await IsOverAsync(pair);
        pair.Store.Store.Before = FailingWhere(name => name == "ReadMailboxAsync");
        pair.StoreOfA.After = name =>
        {
            if (name == "PostAsync")
            {
                pair.StoreOfA.After = null;
                throw new StoreException("scripted failure");
            }
        };
        var asked = await PostAsync(pair.A, endpoint.Data!, "ping");
        await pair.A.UntilAsync(() => pair.StoreOfA.After is null, "it is posted");

        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        Assert.Equal($"{asked}", (await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, "the answer")).RawId());
        pair.Store.Store.Before = null;
        await pair.PassAsync(TimeSpan.FromSeconds(10));

        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }
}
