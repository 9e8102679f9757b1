using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.FrontDoor;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Limits of calls per minute, in one process and shared by several.</summary>
public sealed class CallRateTests
{
    private static readonly Principal Ann = new("https://issuer.test", "ann");
    private static readonly Principal Ben = new("https://issuer.test", "ben");

    private readonly FakeClock _clock = new();
    private readonly FixtureLog _log = new();

    [Fact]
    public async Task Alone_EachUserAndAllTogether_HaveTheirMinute()
    {
        var rate = Of(null, perUser: 2, all: 3);

        Assert.Null(await rate.TakeAsync(Ann, 2));
        _clock.Advance(TimeSpan.FromSeconds(10));
        var reached = await rate.TakeAsync(Ann, 1);
        Assert.Equal(50, reached!.Value.Seconds);
        Assert.Contains("limits.callsPerUserPerMinute", reached.Value.Why, StringComparison.Ordinal);
        Assert.Null(await rate.TakeAsync(Ben, 1));
        Assert.Contains("limits.callsPerMinute", (await rate.TakeAsync(Ben, 1))!.Value.Why, StringComparison.Ordinal);
        _clock.Advance(TimeSpan.FromSeconds(50));
        // What all together refused was not counted as his.
        Assert.Null(await rate.TakeAsync(Ben, 1));
        Assert.Contains("limits.callsPerUserPerMinute", (await rate.TakeAsync(Ben, 1))!.Value.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shared_TwoReplicas_LetThroughNoMoreThanOneMinutesWorth_AndAskTheStoreSeldom()
    {
        var store = new Counted(new MemoryStore(_clock));
        var (a, b) = (Of(store, perUser: 100), Of(store, perUser: 100));

        Assert.Equal(100, await PassAsync(300, a, b));
        Assert.InRange(store.Asked, 1, 30);
        Assert.InRange((await a.TakeAsync(Ann, 1))!.Value.Seconds, 1, 60);

        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(100, await PassAsync(300, b, a));
    }

    [Fact]
    public async Task Shared_OneReplicaAlone_MayUseAllOfIt()
    {
        var store = new Counted(new MemoryStore(_clock));

        Assert.Equal(100, await PassAsync(150, Of(store, perUser: 100)));
    }

    [Fact]
    public async Task Shared_AllUsersTogether_AreLimitedOverReplicasToo()
    {
        var store = new Counted(new MemoryStore(_clock));
        var (a, b) = (Of(store, perUser: 0, all: 40), Of(store, perUser: 0, all: 40));
        var passed = 0;
        for (var i = 0; i < 100; i++)
        {
            passed += await (i % 2 == 0 ? a : b).TakeAsync(new Principal("i", $"user {i}"), 1) is null ? 1 : 0;
        }

        Assert.Equal(40, passed);
    }

    [Fact]
    public async Task Shared_StoreAway_EachCountsForItself_AndSharesAgainWhenItIsBack()
    {
        var store = new Counted(new MemoryStore(_clock)) { IsAway = true };
        var (a, b) = (Of(store, perUser: 10), Of(store, perUser: 10));

        Assert.Equal(10, await PassAsync(30, a));
        Assert.Equal(10, await PassAsync(30, b));
        Assert.Contains(_log.Lines, line => line.Contains("LimitsAlone", StringComparison.Ordinal));

        store.IsAway = false;
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(10, await PassAsync(60, a, b));
    }

    [Fact]
    public async Task Shared_StoreHangs_CallsGoOnAfterAMoment_AndOthersDoNotWaitAgain()
    {
        var store = new Counted(new MemoryStore(_clock)) { Hang = new TaskCompletionSource() };
        var rate = Of(store, perUser: 10);

        var first = rate.TakeAsync(Ann, 1).AsTask();
        Assert.False(first.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Null(await first);
        Assert.Null(await rate.TakeAsync(Ben, 1).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        // What comes late counts.
        store.Hang.SetResult();
        _clock.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(10, await PassAsync(30, rate));
    }

    [Fact]
    public async Task Shared_AskingFailsOnceByABug_CountsForItself_AndAsksAgain()
    {
        var store = new Counted(new MemoryStore(_clock)) { IsBroken = true };
        var rate = Of(store, perUser: 10);

        Assert.Equal(10, await PassAsync(30, rate));
        Assert.Contains(_log.Lines, line => line.StartsWith("Error LimitsLeaseFailed", StringComparison.Ordinal));

        store.IsBroken = false;
        _clock.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(10, await PassAsync(30, rate));
        Assert.InRange(store.Asked, 2, 30);
    }

    [Fact]
    public async Task Batch_ThatCanNeverPass_TakesNothingFromAnybody()
    {
        var store = new Counted(new MemoryStore(_clock));
        var (a, b) = (Of(store, perUser: 0, all: 20), Of(store, perUser: 0, all: 20));

        Assert.Contains("A batch of 21 requests", (await a.TakeAsync(Ann, 21))!.Value.Why, StringComparison.Ordinal);

        Assert.Equal(0, store.Asked);
        Assert.Null(await b.TakeAsync(Ben, 1));
    }

    /// <summary>How many of so many pass, one after the other in turns.</summary>
    private static async Task<int> PassAsync(int tries, params CallRate[] at)
    {
        var passed = 0;
        for (var i = 0; i < tries; i++)
        {
            passed += await at[i % at.Length].TakeAsync(Ann, 1) is null ? 1 : 0;
        }

        return passed;
    }

    private CallRate Of(IPermitStore? store, int perUser, int all = 0) => new(
        _clock, new ConfigStore(new MooringConfig { Limits = new LimitsConfig { CallsPerUserPerMinute = perUser, CallsPerMinute = all } }, ""),
        new Logger<CallRate>(new LoggerFactory([_log])), new PermitSource(store));

    private sealed class Counted(IPermitStore inner) : IPermitStore
    {
        private int _asked;

        public int Asked => _asked;

        public bool IsAway { get; set; }

        /// <summary>Whether it fails as no store does.</summary>
        public bool IsBroken { get; set; }

        public TaskCompletionSource? Hang { get; init; }

        public async Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit)
        {
            Interlocked.Increment(ref _asked);
            await (Hang?.Task ?? Task.CompletedTask);
            if (IsBroken)
            {
                throw new InvalidOperationException("scripted bug");
            }

            return await (IsAway ? Task.FromException<PermitLease>(new StoreException("scripted failure")) : inner.LeasePermitsAsync(key, wanted, limit));
        }

        public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own) => throw new NotSupportedException();

        public Task<int> CountSessionsOfAsync(string issuer, string subject, int most) => throw new NotSupportedException();

        public Task<int> CountSessionsUpToAsync(int most) => throw new NotSupportedException();
    }
}
