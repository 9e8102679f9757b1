using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>Homes: which replica runs what of a session cannot move.</summary>
public abstract partial class StoreContractTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClaimHome_ManyAtOnce_OneWinsAndAllAreToldTheSame(bool isHeldByAnUnknownOne)
    {
        const int claimers = 8;
        await _store.SaveSessionAsync(Session());
        for (var i = 0; i < claimers; i++)
        {
            await Replicas.BeatAsync($"r{i}", "", Long);
        }

        if (isHeldByAnUnknownOne)
        {
            Assert.Equal("dead", await Replicas.ClaimHomeAsync("session", "files", "dead"));
        }

        using var start = new Barrier(claimers);
        var told = await Task.WhenAll(Enumerable.Range(0, claimers).Select(i => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return Replicas.ClaimHomeAsync("session", "files", $"r{i}");
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));

        var holder = Assert.Single(told.Distinct());
        Assert.Matches("^r[0-7]$", holder);
        Assert.Equal(holder, await Replicas.ClaimHomeAsync("session", "files", "r0"));
        Assert.Equal(holder, await Replicas.ClaimHomeAsync("session", "files", "r1"));
    }

    [Fact]
    public async Task ClaimHome_HolderLives_KeepsItForThatSessionAndServerAlone()
    {
        await PrepareAsync("a", "b");
        await _store.SaveSessionAsync(Session("other"));

        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "a"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "a"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "other", "b"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("other", "files", "b"));
        await _store.SaveSessionAsync(Session() with { LogLevel = "debug" });
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));
    }

    [Fact]
    public async Task ClaimHome_HolderIsUnknown_LosesIt()
    {
        await PrepareAsync("a", "b");

        Assert.Equal("nobody", await Replicas.ClaimHomeAsync("session", "files", "nobody"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "a"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));
    }

    [Fact]
    public async Task ClaimHome_LeaseOfTheHolderIsOver_KeepsItUntilItIsTakenOver()
    {
        await PrepareAsync("a", "b");
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "a"));
        await Replicas.BeatAsync("a", "", TimeSpan.Zero);

        // It may be only slow, and its process live.
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));
        await Replicas.BeatAsync("a", "", Long);
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));

        await Replicas.BeatAsync("a", "", TimeSpan.Zero);
        Assert.True(await Replicas.TryTakeOverAsync("a", "b"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "a"));
    }

    [Fact]
    public async Task ClaimHome_HolderWasTakenOver_LosesIt()
    {
        await PrepareAsync("a", "b");
        await Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await Replicas.ClaimHomeAsync("session", "files", "dead");
        Assert.True(await Replicas.TryTakeOverAsync("dead", "a"));

        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "a"));
    }

    [Fact]
    public async Task ClaimHome_ByOneThatWasTakenOver_LosesItToTheNext()
    {
        await PrepareAsync("a", "b");
        await Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        Assert.True(await Replicas.TryTakeOverAsync("dead", "a"));

        // It does not know yet.
        Assert.Equal("dead", await Replicas.ClaimHomeAsync("session", "files", "dead"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
    }

    [Fact]
    public async Task RemoveReplica_HeldHomes_AreFreeAlsoWhenTheNameComesBack()
    {
        await PrepareAsync("a", "b");
        await Replicas.ClaimHomeAsync("session", "files", "a");
        await Replicas.ClaimHomeAsync("session", "kept", "b");
        await Replicas.RemoveReplicaAsync("a");
        await Replicas.BeatAsync("a", "", Long);

        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "kept", "a"));
    }

    [Fact]
    public async Task ReleaseHome_ByTheHolderOnly_MakesRoomForTheNext()
    {
        await PrepareAsync("a", "b");
        await Replicas.ClaimHomeAsync("session", "files", "a");
        await Replicas.ClaimHomeAsync("session", "other", "a");

        await Replicas.ReleaseHomeAsync("session", "files", "b");
        await Replicas.ReleaseHomeAsync("unknown", "files", "a");
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));

        await Replicas.ReleaseHomeAsync("session", "files", "a");
        await Replicas.ReleaseHomeAsync("session", "files", "a");
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "other", "b"));
    }

    [Fact]
    public async Task ClaimHome_SessionIsNotThere_KeepsNothing()
    {
        await PrepareAsync("a", "b");
        await Replicas.ClaimHomeAsync("session", "files", "a");
        await _store.DeleteSessionAsync("session");

        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "a"));
        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        await Replicas.ClaimHomeAsync("session", "files", "a");
        await _store.SaveSessionAsync(Session());

        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
    }

    [Fact]
    public async Task DeleteSession_WithHomes_TakesItsOwnAndNoOthers()
    {
        await PrepareAsync("a", "b");
        await _store.SaveSessionAsync(Session("other"));
        await Replicas.ClaimHomeAsync("session", "files", "a");
        await Replicas.ClaimHomeAsync("other", "files", "a");

        await _store.DeleteSessionAsync("session");
        await _store.SaveSessionAsync(Session());

        Assert.Equal("b", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("other", "files", "b"));
    }

    /// <summary>A session, and replicas that live.</summary>
    private async Task PrepareAsync(params string[] replicas)
    {
        await _store.SaveSessionAsync(Session());
        foreach (var replica in replicas)
        {
            await Replicas.BeatAsync(replica, "", Long);
        }
    }
}
