using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <content>Calls that became tasks.</content>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task HoldTask_EveryField_ComesBackUnchanged()
    {
        var bare = Held("bare") with { Issuer = "", Subject = "", Route = null, Message = null, ServerTask = null, Cursor = null, Status = HeldTaskStatus.Working, Body = default };

        Assert.True(await _store.HoldTaskAsync(Held(), 10, 10));
        Assert.True(await _store.HoldTaskAsync(bare, 10, 10));

        Assert.Equal(Describe(Held()), Describe(await _store.FindHeldTaskAsync("task", Cancel)));
        Assert.Equal(Describe(bare), Describe(await _store.FindHeldTaskAsync("bare", Cancel)));
        Assert.Null((await _store.FindHeldTaskAsync("bare", Cancel))!.ServerTask);
        Assert.Null(await _store.FindHeldTaskAsync("TASK", Cancel));
    }

    [Fact]
    public async Task HoldTask_AsManyAsThereMayBe_AreHeldAndNoMore()
    {
        var bob = Held("bob") with { Subject = "bob" };
        Assert.True(await _store.HoldTaskAsync(Held("a1"), 2, 3));
        Assert.True(await _store.HoldTaskAsync(Held("a2") with { Status = HeldTaskStatus.Completed }, 2, 3));
        Assert.False(await _store.HoldTaskAsync(Held("a3"), 2, 3));
        Assert.Null(await _store.FindHeldTaskAsync("a3", Cancel));

        Assert.True(await _store.HoldTaskAsync(bob, 2, 3));
        Assert.False(await _store.HoldTaskAsync(bob with { Id = "bob2" }, 2, 3));

        await _store.DropHeldTaskAsync("a1");
        await _store.DropHeldTaskAsync("nobody's");
        Assert.True(await _store.HoldTaskAsync(bob with { Id = "bob2" }, 2, 3));
    }

    [Fact]
    public async Task UpdateHeldTask_OfTheRevisionThatIsThere_ReplacesWhatChangesInItsLife()
    {
        await _store.HoldTaskAsync(Held(), 10, 10);
        var changed = Held() with
        {
            Status = HeldTaskStatus.Working,
            Message = null,
            Updated = FakeClock.Start + TimeSpan.FromSeconds(1),
            Expires = FakeClock.Start + TimeSpan.FromHours(2),
            Replica = "r2",
            ServerTask = null,
            Cursor = Cursor("e2"),
            Body = default,
        };

        Assert.True(await _store.UpdateHeldTaskAsync(changed with { Subject = "eve", Tool = "other", Created = FakeClock.Start }));

        Assert.Equal(Describe(changed with { Revision = 1 }), Describe(await _store.FindHeldTaskAsync("task", Cancel)));
    }

    [Fact]
    public async Task UpdateHeldTask_OfAnotherRevision_OfAFinalOne_OrOfNone_ChangesNothing()
    {
        await _store.HoldTaskAsync(Held(), 10, 10);
        Assert.True(await _store.UpdateHeldTaskAsync(Held() with { Message = "first" }));

        Assert.False(await _store.UpdateHeldTaskAsync(Held() with { Message = "late" }));
        Assert.False(await _store.UpdateHeldTaskAsync(Held("nobody's")));
        Assert.Equal("first", (await _store.FindHeldTaskAsync("task", Cancel))!.Message);

        Assert.True(await _store.UpdateHeldTaskAsync(Held() with { Status = HeldTaskStatus.Completed, Revision = 1 }));
        Assert.False(await _store.UpdateHeldTaskAsync(Held() with { Status = HeldTaskStatus.Failed, Revision = 2 }));
        Assert.Equal(HeldTaskStatus.Completed, (await _store.FindHeldTaskAsync("task", Cancel))!.Status);
    }

    [Theory]
    [InlineData(HeldTaskStatus.Completed)]
    [InlineData(HeldTaskStatus.Failed)]
    [InlineData(HeldTaskStatus.Cancelled)]
    public async Task FindUnfinishedTasks_OfAReplica_AreThoseThatGoOn(object status)
    {
        await _store.HoldTaskAsync(Held("a"), 10, 10);
        await _store.HoldTaskAsync(Held("b") with { Status = HeldTaskStatus.Working }, 10, 10);
        await _store.HoldTaskAsync(Held("c") with { Status = (HeldTaskStatus)status }, 10, 10);
        await _store.HoldTaskAsync(Held("d") with { Replica = "r2" }, 10, 10);

        Assert.Equal(["a", "b"], (await _store.FindUnfinishedTasksAsync("r1", Cancel)).Select(t => t.Id));
        Assert.Equal(Describe(Held("d") with { Replica = "r2" }), Describe(Assert.Single(await _store.FindUnfinishedTasksAsync("r2", Cancel))));
    }

    [Fact]
    public async Task FindUnfinishedTasks_OfNoneOfTheseReplicas_AreThoseOfOthersUpToTheLimit()
    {
        await _store.HoldTaskAsync(Held("a"), 10, 10);
        await _store.HoldTaskAsync(Held("b") with { Replica = "gone" }, 10, 10);
        await _store.HoldTaskAsync(Held("c") with { Replica = "gone", Status = HeldTaskStatus.Failed }, 10, 10);
        await _store.HoldTaskAsync(Held("d") with { Replica = "r2" }, 10, 10);
        await _store.HoldTaskAsync(Held("e") with { Replica = "gone too" }, 10, 10);

        async Task<IEnumerable<string>> FindAsync(IReadOnlyList<string> replicas, int limit) =>
            (await _store.FindUnfinishedTasksExceptAsync(replicas, limit, Cancel)).Select(task => task.Id).Order(StringComparer.Ordinal);

        Assert.Equal(["b", "e"], await FindAsync(["r1", "r2"], 10));
        Assert.Equal(["a", "b", "d", "e"], await FindAsync([], 10));
        var some = await FindAsync(["r1"], 2);
        Assert.Equal(2, some.Count());
        Assert.Equal(some, await FindAsync(["r1"], 2));
    }

    [Fact]
    public async Task ExpireTasks_HeldOnes_GoWhenTheirTimeIsUp()
    {
        await _store.HoldTaskAsync(Held(), 10, 10);

        await _store.ExpireTasksAsync(FakeClock.Start + TimeSpan.FromHours(1));
        Assert.NotNull(await _store.FindHeldTaskAsync("task", Cancel));

        await _store.ExpireTasksAsync(FakeClock.Start + TimeSpan.FromHours(1) + TimeSpan.FromTicks(1));
        Assert.Null(await _store.FindHeldTaskAsync("task", Cancel));
    }
}
