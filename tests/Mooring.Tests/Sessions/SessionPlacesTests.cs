using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>How many sessions the store has, asked as seldom as may be.</summary>
public sealed class SessionPlacesTests
{
    private static readonly Principal Ann = new("https://issuer.test", "ann");

    private readonly FakeClock _clock = new();
    private readonly FixtureLog _log = new();

    [Fact]
    public async Task Take_FarFromTheLimit_AsksForAPartOfWhatIsLeftAtOnce_AndAgainWhenThatIsOld()
    {
        var store = new Counter { There = 200 };
        var places = Of(store, perUser: 1000);

        Assert.Equal(40, await PassAsync(places, 40));
        Assert.Equal(1, store.Asked);
        await PassAsync(places, 1);
        Assert.Equal(2, store.Asked);
        _clock.Advance(TimeSpan.FromSeconds(31));
        await PassAsync(places, 1);
        Assert.Equal(3, store.Asked);
    }

    [Fact]
    public async Task Take_NearTheLimit_AsksEachTime_AndRefusesWhatTheStoreSaysIsTooMuch()
    {
        var store = new Counter { There = 8 };
        var places = Of(store, perUser: 10);

        Assert.True(await places.TakeAsync(Ann));
        store.There = 10;
        Assert.False(await places.TakeAsync(Ann));
        // No answer of before: one that was deleted makes room at once.
        store.There = 9;
        Assert.True(await places.TakeAsync(Ann));
    }

    [Fact]
    public async Task Take_NobodyCanBeToldApart_AndNoLimitIsSet_AsksNothing()
    {
        var store = new Counter { There = 1_000_000 };

        Assert.True(await Of(store, perUser: null).TakeAsync(Principal.Anonymous));

        Assert.Equal(0, store.Asked);
    }

    [Fact]
    public async Task Take_StoreAway_RefusesNobody_AndIsNotAskedAgainForAMoment()
    {
        var store = new Counter { There = 10, IsAway = true };
        var places = Of(store, perUser: 10);

        Assert.Equal(5, await PassAsync(places, 5));
        Assert.Equal(1, store.Asked);
        Assert.Contains(_log.Lines, line => line.Contains("SessionsCountedAlone", StringComparison.Ordinal));

        store.IsAway = false;
        _clock.Advance(TimeSpan.FromSeconds(6));
        Assert.False(await places.TakeAsync(Ann));
    }

    [Fact]
    public async Task Take_AskingFailsOnceByABug_RefusesNobody_AndAsksAgain()
    {
        var store = new Counter { There = 10, IsBroken = true };
        var places = Of(store, perUser: 10);

        Assert.True(await places.TakeAsync(Ann));
        Assert.Contains(_log.Lines, line => line.StartsWith("Error SessionsCountFailed", StringComparison.Ordinal));

        store.IsBroken = false;
        _clock.Advance(TimeSpan.FromSeconds(6));
        Assert.False(await places.TakeAsync(Ann));
    }

    [Fact]
    public async Task Take_StoreHangs_GoesOnAfterAMoment()
    {
        var store = new Counter { There = 10, Hang = new TaskCompletionSource() };
        var places = Of(store, perUser: 10);

        var taking = places.TakeAsync(Ann).AsTask();
        await store.WasAsked.Task.WaitAsync(TestContext.Current.CancellationToken);
        while (!taking.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.True(await taking);
    }

    [Fact]
    public async Task Take_ManyOfAllAtOnceWhereThereAreEnough_CountOnceForAll()
    {
        var store = new Counter { There = 100 };
        var places = Of(store, perUser: null, all: 100);

        var taken = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => places.TakeAsync(Principal.Anonymous).AsTask()));

        Assert.All(taken, Assert.False);
        Assert.Equal(1, store.Asked);
    }

    private static async Task<int> PassAsync(SessionPlaces places, int tries)
    {
        var passed = 0;
        for (var i = 0; i < tries; i++)
        {
            passed += await places.TakeAsync(Ann) ? 1 : 0;
        }

        return passed;
    }

    private SessionPlaces Of(IPermitStore store, int? perUser, int all = 0) => new(
        _clock, new ConfigStore(new MooringConfig { Limits = new LimitsConfig { SessionsPerUser = perUser, AllSessions = all } }, ""), new PermitSource(store),
        new Logger<SessionPlaces>(new LoggerFactory([_log])));

    private sealed class Counter : IPermitStore
    {
        private int _asked;

        public int There { get; set; }

        public int Asked => _asked;

        public bool IsAway { get; set; }

        /// <summary>Whether it fails as no store does.</summary>
        public bool IsBroken { get; set; }

        public TaskCompletionSource? Hang { get; init; }

        public TaskCompletionSource WasAsked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => throw new NotSupportedException();

        public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own) => throw new NotSupportedException();

        public Task<int> CountSessionsOfAsync(string issuer, string subject, int most) => CountAsync(most);

        public Task<int> CountSessionsUpToAsync(int most) => CountAsync(most);

        private async Task<int> CountAsync(int most)
        {
            Interlocked.Increment(ref _asked);
            WasAsked.TrySetResult();
            if (IsBroken)
            {
                throw new InvalidOperationException("scripted bug");
            }

            await (Hang?.Task ?? Task.CompletedTask);
            return IsAway ? throw new StoreException("scripted failure") : Math.Min(most, There);
        }
    }
}
