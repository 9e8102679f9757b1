using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Calls;
using Mooring.FrontDoor;
using Mooring.Replicas;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>What a dead replica left is ended beside the beats of its heir, by one that answers for it; and what nobody answers for is found.</summary>
public sealed class LeftBehindTests
{
    private const string Stream = "p0123456789";

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    [Fact]
    public async Task Dead_ItsCallsTakeLongToEnd_TheHeirGoesOnBeating()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var names = Names(pair);
        var (held, isHeld) = (new TaskCompletionSource(), false);
        pair.Store.Store.Before = operation => operation == "FindRunningCallsAsync" ? HoldAsync() : Task.CompletedTask;
        await RunningAsync(pair, client, "dead");
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await pair.UntilAsync(() => isHeld, "its calls are looked for");

        await pair.PassAsync(TimeSpan.FromSeconds(30));

        Assert.Equal(names, Names(pair));
        Assert.Equal(names, (await pair.Store.Replicas.FindReplicasAsync(CancellationToken.None)).Where(r => !r.IsExpired).Select(r => r.Id).Order(StringComparer.Ordinal));
        Assert.Empty(Events(pair, client));
        held.SetResult();
        await pair.UntilAsync(() => IsUnknown(pair, client), "the call is ended");

        Task HoldAsync()
        {
            isHeld = true;
            return held.Task;
        }
    }

    [Fact]
    public async Task Heir_IsTakenForDeadMeanwhile_GivesUpAndEndsUnderItsNewNameWhatItInheritsThen()
    {
        await using var pair = await PlayedAsync();
        var (heir, other) = (pair.B.Get<Peers>(), pair.A.Get<Peers>());
        var (nameOfHeir, nameOfOther) = (heir.Name, other.Name);
        var (ends, endsOther, gaveUp) = (new ConcurrentQueue<string>(), new ConcurrentQueue<string>(), false);
        pair.B.Get<PlayedHeir>().Ends = async (dead, cancel) =>
        {
            ends.Enqueue(dead);
            if (ends.Count == 1 && cancel.CanBeCanceled)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel).ContinueWith(_ => gaveUp = true, TaskScheduler.Default);
                cancel.ThrowIfCancellationRequested();
            }
        };
        pair.A.Get<PlayedHeir>().Ends = (dead, _) =>
        {
            endsOther.Enqueue(dead);
            return Task.CompletedTask;
        };

        // One inherits, and does not get to the end of it.
        pair.StoreOfA.Before = Failing("TryTakeOverAsync");
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await pair.UntilAsync(() => ends.Contains("dead"), "it is at it");
        pair.Store.Store.Before = Failing($"BeatAsync {nameOfHeir}");
        pair.StoreOfA.Before = null;
        await pair.UntilAsync(() => endsOther.Contains("dead") && endsOther.Contains(nameOfHeir), "the other ends both");
        Assert.False(gaveUp);
        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => gaveUp && heir.Name != nameOfHeir, "it gave up with its name");
        Assert.Equal(["dead"], ends);

        // Whatever it answered for before is the other's now, and comes back with the other.
        pair.Store.Store.Before = Failing($"BeatAsync {nameOfOther}");
        await pair.UntilAsync(() => ends.Contains(nameOfOther) && ends.Count >= 4, "it ends what it inherits");

        Assert.Equal(new[] { "dead", "dead", nameOfHeir, nameOfOther }.Order(StringComparer.Ordinal), ends.Order(StringComparer.Ordinal));
        pair.Store.Store.Before = null;
    }

    [Fact]
    public async Task Stop_WhileItEndsWhatADeadOneLeft_LeavesThatToTheNext()
    {
        await using var pair = await PlayedAsync();
        var (name, begun, ended) = (pair.B.Get<Peers>().Name, false, new ConcurrentQueue<string>());
        pair.StoreOfA.Before = Failing("TryTakeOverAsync");
        pair.B.Get<PlayedHeir>().Ends = (_, cancel) =>
        {
            begun = true;
            return cancel.CanBeCanceled ? Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel) : Task.CompletedTask;
        };
        pair.A.Get<PlayedHeir>().Ends = (dead, _) =>
        {
            ended.Enqueue(dead);
            return Task.CompletedTask;
        };
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await pair.UntilAsync(() => begun, "it is at it");

        await pair.StopBAsync();
        Assert.Contains(await pair.Store.Replicas.FindReplicasAsync(CancellationToken.None), r => r.Id == name);
        pair.StoreOfA.Before = null;

        await pair.UntilAsync(() => ended.Count == 2, "the other ends it");
        Assert.Equal(new[] { "dead", name }.Order(StringComparer.Ordinal), ended.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Dead_TwoAndOneOfThemCannotBeEnded_TheOtherIs()
    {
        await using var pair = await PlayedAsync();
        var ended = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
        foreach (var gateway in new[] { pair.A, pair.B })
        {
            gateway.Get<PlayedHeir>().Ends = (dead, _) =>
                dead == "dead 1" ? throw new InvalidOperationException("a bug") : Task.FromResult(ended[dead] = true);
        }

        pair.StoreOfA.Before = Failing("TryTakeOverAsync");
        await pair.Store.Replicas.BeatAsync("dead 1", "", TimeSpan.Zero);
        await pair.Store.Replicas.BeatAsync("dead 2", "", TimeSpan.Zero);

        await pair.UntilAsync(() => ended.ContainsKey("dead 2"), "the other is ended");
        Assert.Contains(pair.B.LogLines.Lines, line => line.Contains("Ending what a dead replica left undone failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_OfADeadOne_AreEndedAFewAtATime()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        for (var i = 0; i < 20; i++)
        {
            await RunningAsync(pair, client, "dead", $"p{i:D10}");
        }

        pair.Store.Store.Hold();
        var ending = pair.A.Get<CallsLeftBehind>().EndAsync(await pair.Store.Store.FindRunningCallsAsync("dead", CancellationToken.None), "it is gone", pair.A.Get<LeftCalls>(), CancellationToken.None);
        await pair.UntilAsync(() => pair.Store.Store.Waiting == 8, "as many wait as are ended at a time");
        pair.Store.Store.Release();

        await Limit.Of(ending, "the end of all");
        Assert.Empty(await pair.Store.Store.FindRunningCallsAsync("dead", CancellationToken.None));
    }

    [Fact]
    public async Task Orphan_RecordedUnderANameThatWasLookedThrough_IsEnded()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        await TakenOverAsync(pair, "dead");
        await RunningAsync(pair, client, "dead");

        await pair.A.UntilAsync(() => IsUnknown(pair, client), "the call is ended", TimeSpan.FromMinutes(2));

        // The answer is in its stream's log before its record says that it is over.
        await pair.A.UntilAsync(() => pair.Store.Store.FindRunningCallsAsync(CancellationToken.None).GetAwaiter().GetResult() is [], "its record is closed");
    }

    [Fact]
    public async Task Orphan_LeftToOneThatStillWrote_IsEndedOnceThatIsGone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        pair.Store.Store.Before = async operation =>
        {
            if (operation == "AppendEventAsync")
            {
                pair.Store.Store.Before = null;
                await pair.Store.Store.AppendEventAsync(new EventRecord(client.SessionId!, Stream, 1, "progress"u8.ToArray(), pair.A.Clock.GetUtcNow()));
            }
        };
        await RunningAsync(pair, client, "dead");
        await TakenOverAsync(pair, "dead");
        await pair.UntilAsync(() => Events(pair, client).Count == 1, "it was only slow");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Single(Events(pair, client));

        await pair.A.UntilAsync(() => IsUnknown(pair, client), "the call is ended", TimeSpan.FromMinutes(2));

        Assert.Equal(2, Events(pair, client).Count);
    }

    [Fact]
    public async Task Call_OfOneThatWasTakenForDeadAndLives_GoesOnUntilItIsGone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var (b, before) = (pair.B.Get<Peers>(), pair.B.Get<Peers>().Name);
        pair.Store.Store.Before = Failing($"BeatAsync {before}");
        await pair.UntilAsync(() => pair.A.Get<Peers>() is { Others: [] } a && !a.IsDoubted(before), "it is taken over");
        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => b.Name != before && pair.A.Get<Peers>().Others.Contains(b.Name), "it goes on as a new one");

        // As one whose record was on its way with the name of before.
        await RunningAsync(pair, client, before);
        await pair.PassAsync(TimeSpan.FromSeconds(90));
        Assert.Empty(Events(pair, client));

        await pair.StopBAsync();
        await pair.A.UntilAsync(() => IsUnknown(pair, client), "the call is ended", TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task Call_OfOneThatCameJustThen_IsNotTakenForLeftBehind()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var looks = 0;
        pair.Store.Store.Before = async operation =>
        {
            if (operation == "FindRunningCallsExceptAsync" && Interlocked.Increment(ref looks) == 1)
            {
                // Its beat comes between the two questions of this look.
                await RunningAsync(pair, client, "new");
                await pair.Store.Replicas.BeatAsync("new", "", Long);
            }
        };

        await pair.A.UntilAsync(() => looks >= 4, "it was looked a few times", TimeSpan.FromMinutes(3));

        Assert.Empty(Events(pair, client));
    }

    [Fact]
    public async Task Orphans_AreLookedForByOneReplica_NowAndThen()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var looks = 0;
        pair.Store.Store.Before = operation => Task.FromResult(operation == "FindRunningCallsExceptAsync" ? Interlocked.Increment(ref looks) : 0);

        await pair.PassAsync(TimeSpan.FromMinutes(2));

        Assert.InRange(looks, 4, 7);
    }

    /// <summary>A name that was taken over, and whose calls were looked through.</summary>
    private static async Task TakenOverAsync(ReplicaPair pair, string dead)
    {
        await pair.Store.Replicas.BeatAsync(dead, "", TimeSpan.Zero);
        await pair.UntilAsync(
            () => pair.Store.Replicas.FindReplicasAsync(CancellationToken.None).Result.All(r => r.Id != dead), "it is taken over");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
    }

    private static IReadOnlyList<string> Names(ReplicaPair pair) => [.. new[] { pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name }.Order(StringComparer.Ordinal)];

    private static Func<string, Task> Failing(string which) =>
        operation => operation == which ? Task.FromException(new StoreException("scripted failure")) : Task.CompletedTask;

    private static Task RunningAsync(ReplicaPair pair, McpTestClient client, string replica, string stream = Stream) => pair.Store.Store.OpenStreamAsync(
        new StreamRecord
        {
            SessionId = client.SessionId!,
            StreamId = stream,
            Kind = StreamKind.Post,
            State = StreamState.Running,
            RequestIds = ["7"],
            Server = "one",
            Replica = replica,
            Changed = pair.A.Clock.GetUtcNow(),
        },
        primer: null);

    private static bool IsUnknown(ReplicaPair pair, McpTestClient client) =>
        Events(pair, client) is [.., var last] && Encoding.UTF8.GetString(last.Body.Span).Contains("outcome_unknown", StringComparison.Ordinal);

    private static IReadOnlyList<EventRecord> Events(ReplicaPair pair, McpTestClient client) =>
        pair.Store.Store.ReadEventsAsync(client.SessionId!, Stream, 0, 10, CancellationToken.None).Result;

    /// <summary>Two whose ends of what others left the test plays.</summary>
    private static Task<ReplicaPair> PlayedAsync() =>
        ReplicaPair.StartAsync(services: services => services.AddSingleton<PlayedHeir>().AddSingleton<IHeir>(parts => parts.GetRequiredService<PlayedHeir>()));

    private sealed class PlayedHeir : IHeir
    {
        public Func<string, CancellationToken, Task> Ends { get; set; } = (_, _) => Task.CompletedTask;

        public Task EndAsync(string replica, CancellationToken cancel) => Ends(replica, cancel);

        public Task EndOrphansAsync(IReadOnlyList<string> answered, CancellationToken cancel) => Task.CompletedTask;
    }
}
