using Mooring.Calls;
using Mooring.FrontDoor;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Tasks;

namespace Mooring;

/// <summary>What processes that are gone left undone, of all rooms: their calls and their tasks are ended, or gone on with.</summary>
internal sealed class LeftBehind(IStore store, CallsLeftBehind calls, TasksLeftBehind tasks, LeftCalls leftCalls, LeftTasks leftTasks) : IHeir
{
    private const string Gone = "the gateway process that ran it is gone";
    private const string Restarted = "the gateway was restarted before the answer came";

    public async Task EndAsync(string replica, CancellationToken cancel)
    {
        await calls.EndAsync(await store.FindRunningCallsAsync(replica, cancel), Gone, leftCalls, cancel);
        await tasks.EndAsync(replica, Gone, leftTasks.GoOn, cancel);
    }

    public async Task EndOrphansAsync(IReadOnlyList<string> answered, CancellationToken cancel)
    {
        await calls.EndOrphansAsync(answered, Gone, leftCalls, cancel);
        await tasks.EndOrphansAsync(answered, Gone, leftTasks.GoOn, cancel);
    }

    /// <summary>Ends all that the process before this one left undone, or goes on with it. Only where nobody shares the store.</summary>
    public async Task EndAllAsync(CancellationToken cancel)
    {
        await calls.EndAsync(await store.FindRunningCallsAsync(cancel), Restarted, leftCalls, cancel);
        await tasks.EndAllAsync(Restarted, leftTasks.GoOn, cancel);
    }

    /// <summary>The gateway listens: what is gone on with need not wait any more (invariant 3).</summary>
    public void Start()
    {
        leftTasks.Start();
        leftCalls.Start();
    }
}
