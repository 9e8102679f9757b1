using System.Runtime.CompilerServices;
using Mooring.Stores;
using Mooring.Stores.Memory;

namespace Mooring.Tests;

/// <summary>A store that is away at will, or keeps its commits waiting.</summary>
internal sealed class FaultyStore : IStore
{
    private readonly IStore _inner;
    private readonly IReplicaStore _replicas;
    private readonly IAuthStore _auth;
    private readonly IPermitStore _permits;
    private readonly TimeProvider _time;
    private volatile TaskCompletionSource? _held;
    private volatile Since? _away;

    public FaultyStore(TimeProvider time)
    {
        var memory = new MemoryStore(time);
        (_inner, _replicas, _auth, _permits, _time) = (memory, memory, memory, memory, time);
    }

    /// <param name="behind">What is behind it: this one fails for one gateway alone.</param>
    public FaultyStore(FaultyStore behind)
    {
        (_inner, _replicas, _auth, _permits, _time) = (behind, behind.Replicas, behind.Auth, behind.Permits, behind._time);
        IsRemote = behind.IsRemote;
    }

    /// <summary>Whether everything fails.</summary>
    public bool IsAway
    {
        get => _away is not null;
        set => _away = value ? _away ?? new Since(_time.GetUtcNow()) : null;
    }

    public DateTimeOffset? AwaySince => _away?.Time;

    /// <summary>Whether another replica looks for what has expired, and this one need not.</summary>
    public bool IsSweptByAnother { get; set; }

    /// <summary>Whether writes are committed, and then said to have failed: the connection broke before the answer.</summary>
    public bool LosesAnswers { get; set; }

    /// <summary>Whether it says of itself that it is on another machine.</summary>
    public bool IsRemote { get; init; }

    /// <summary>Called with the name of each operation before it is done; what it throws is thrown.</summary>
    public Func<string, Task>? Before { get; set; }

    /// <summary>Holds the next operation of a name, once.</summary>
    public (Func<bool> IsHeld, TaskCompletionSource Held) Hold(string operation)
    {
        var (held, isHeld) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), false);
        Before = name =>
        {
            if (name != operation || isHeld)
            {
                return Task.CompletedTask;
            }

            isHeld = true;
            return held.Task;
        };
        return (() => isHeld, held);
    }

    /// <summary>As <see cref="Before"/>, but after it was done: its answer is lost.</summary>
    public Action<string>? After { get; set; }

    /// <summary>Says which events are lost although their writer is told that they are kept: as those that only the memory of a dead process had.</summary>
    public Func<EventRecord, bool>? Drop { get; set; }

    /// <summary>Its side for replicas, away when it is.</summary>
    public IReplicaStore Replicas => new FaultyReplicas(this, _replicas);

    /// <summary>Its side for who may come in, away when it is.</summary>
    public IAuthStore Auth => new FaultyAuth(this, _auth);

    /// <summary>Its side for limits that replicas share, away when it is.</summary>
    public IPermitStore Permits => new FaultyPermits(this, _permits);

    /// <summary>Writes that wait for <see cref="Release"/>.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    private int _waiting;

    /// <summary>From now on writes of streams, events and sessions are not committed.</summary>
    public void Hold() => _held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Release()
    {
        var held = _held;
        _held = null;
        held?.SetResult();
    }

    public Task OpenAsync(CancellationToken cancel) => Up(() => _inner.OpenAsync(cancel));

    public Task<bool> TakeSweepAsync() => Up(async Task<bool> () => !IsSweptByAnother && await _inner.TakeSweepAsync());

    public ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel) => Up(() => _inner.FindSessionAsync(sessionId, cancel));

    public Task SaveSessionAsync(SessionRecord session) => CommitAsync(() => _inner.SaveSessionAsync(session));

    public async Task<bool> UpdateSessionAsync(SessionRecord session)
    {
        var updated = false;
        await CommitAsync(async () => updated = await _inner.UpdateSessionAsync(session));
        return updated;
    }

    public Task SetListenerAsync(string sessionId, SessionListener listener) => CommitAsync(() => _inner.SetListenerAsync(sessionId, listener));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) => Up(() => _inner.TouchSessionsAsync(sessions));

    public Task DeleteSessionAsync(string sessionId) => Up(() => _inner.DeleteSessionAsync(sessionId));

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) => Up(() => _inner.DeleteIdleSessionAsync(sessionId, before));

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        Up(() => _inner.FindIdleSessionsAsync(before, limit, cancel));

    public Task<int> CountSessionsAsync(CancellationToken cancel) => Up(() => _inner.CountSessionsAsync(cancel));

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel) => Up(() => _inner.FindLinksAsync(sessionId, cancel));

    public Task SaveLinkAsync(LinkRecord link) => Up(() => _inner.SaveLinkAsync(link));

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) => CommitAsync(() => _inner.OpenStreamAsync(stream, primer));

    public async Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null)
    {
        if (Drop?.Invoke(record) is true)
        {
            return true;
        }

        var appended = false;
        await CommitAsync(async () => appended = await _inner.AppendEventAsync(record, state));
        return appended;
    }

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        CommitAsync(() => _inner.SetStreamStateAsync(sessionId, streamId, state));

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) =>
        CommitAsync(() => _inner.SetCallCursorAsync(sessionId, streamId, cursor));

    public async Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to)
    {
        var taken = false;
        await CommitAsync(async () => taken = await _inner.TakeCallAsync(sessionId, streamId, from, to));
        return taken;
    }

    public ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        Up(() => _inner.FindStreamAsync(sessionId, streamId, cancel));

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel) =>
        Up(() => _inner.ReadEventsAsync(sessionId, streamId, after, limit, cancel));

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) => Up(() => _inner.TrimEventsAsync(sessionId, maxEvents, maxBytes));

    public Task<int> ExpireEventsAsync(DateTimeOffset before) => Up(() => _inner.ExpireEventsAsync(before));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) => Up(() => _inner.FindRunningCallsAsync(cancel));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        Up(() => _inner.FindRunningCallsAsync(replica, cancel));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        Up(() => _inner.FindRunningCallsExceptAsync(replicas, limit, cancel));

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) => Up(() => _inner.LoadCatalogueAsync(cancel));

    public Task SaveCatalogueAsync(CatalogueRecord record) => Up(() => _inner.SaveCatalogueAsync(record));

    public ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) =>
        Up(() => _inner.FindCatalogueAsync(server, key, kind, cancel));

    public Task DeleteCatalogueAsync(string server) => Up(() => _inner.DeleteCatalogueAsync(server));

    public Task DeleteCatalogueAsync(string server, string key) => Up(() => _inner.DeleteCatalogueAsync(server, key));

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) => Up(() => _inner.LoadNamesAsync(cancel));

    public Task<string> ClaimNameAsync(NameRecord name) => Up(() => _inner.ClaimNameAsync(name));

    public Task ReleaseNamesAsync(string server) => Up(() => _inner.ReleaseNamesAsync(server));

    public Task SaveTaskAsync(TaskRecord task) => Up(() => _inner.SaveTaskAsync(task));

    public ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) => Up(() => _inner.FindTaskAsync(server, taskId, cancel));

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        Up(() => _inner.FindTasksOfAsync(server, issuer, subject, cancel));

    public Task ExpireTasksAsync(DateTimeOffset now) => Up(() => _inner.ExpireTasksAsync(now));

    public async Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll)
    {
        var held = false;
        await CommitAsync(async () => held = await _inner.HoldTaskAsync(task, mostOfOne, mostOfAll));
        return held;
    }

    public async Task<bool> UpdateHeldTaskAsync(HeldTask task)
    {
        var updated = false;
        await CommitAsync(async () => updated = await _inner.UpdateHeldTaskAsync(task));
        return updated;
    }

    public ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) => Up(() => _inner.FindHeldTaskAsync(id, cancel));

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        Up(() => _inner.FindUnfinishedTasksAsync(replica, cancel));

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        Up(() => _inner.FindUnfinishedTasksExceptAsync(replicas, limit, cancel));

    public Task DropHeldTaskAsync(string id) => Up(() => _inner.DropHeldTaskAsync(id));

    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private async Task CommitAsync(Func<Task> write, [CallerMemberName] string operation = "")
    {
        ThrowIfAway();
        await BeforeAsync(operation);
        if (_held is { } held)
        {
            Interlocked.Increment(ref _waiting);
            await held.Task;
            Interlocked.Decrement(ref _waiting);
        }

        ThrowIfAway();
        await write();
        if (LosesAnswers)
        {
            throw Failure();
        }
    }

    private Task BeforeAsync(string operation) => Before?.Invoke(operation) ?? Task.CompletedTask;

    private async Task Up(Func<Task> work, [CallerMemberName] string operation = "")
    {
        ThrowIfAway();
        await BeforeAsync(operation);
        await work();
    }

    private async Task<T> Up<T>(Func<Task<T>> work, [CallerMemberName] string operation = "")
    {
        ThrowIfAway();
        await BeforeAsync(operation);
        var result = await work();
        After?.Invoke(operation);
        return result;
    }

    private async ValueTask<T> Up<T>(Func<ValueTask<T>> work, [CallerMemberName] string operation = "")
    {
        ThrowIfAway();
        await BeforeAsync(operation);
        return await work();
    }

    private void ThrowIfAway()
    {
        if (IsAway)
        {
            throw Failure();
        }
    }

    private static StoreException Failure() => new("scripted failure");

    private sealed record Since(DateTimeOffset Time);

    private sealed class FaultyReplicas(FaultyStore store, IReplicaStore inner) : IReplicaStore
    {
        private Task<T> Up<T>(Func<IReplicaStore, Task<T>> work, [CallerMemberName] string operation = "") => store.Up(() => work(inner), operation);

        private Task Up(Func<IReplicaStore, Task> work, [CallerMemberName] string operation = "") => store.Up(() => work(inner), operation);

        public Task<bool> BeatAsync(string replica, string info, TimeSpan lease) => Up(there => there.BeatAsync(replica, info, lease), $"BeatAsync {replica}");

        public Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel) => Up(there => there.FindReplicasAsync(cancel));

        public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica) => Up(there => there.TryTakeOverAsync(deadReplica, byReplica));

        public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel) => Up(there => there.FindTakenOverAsync(byReplica, cancel));

        public Task<bool> RemoveReplicaAsync(string replica) => Up(there => there.RemoveReplicaAsync(replica));

        public Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body) => Up(there => there.PostAsync(toReplica, kind, callId, body));

        public Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel) => Up(there => there.ReadMailboxAsync(replica, after, limit, cancel));

        public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null) => Up(there => there.AcknowledgeAsync(replica, upTo, except));

        public Task<string> ClaimHomeAsync(string sessionId, string server, string replica) => Up(there => there.ClaimHomeAsync(sessionId, server, replica));

        public Task ReleaseHomeAsync(string sessionId, string server, string replica) => Up(there => there.ReleaseHomeAsync(sessionId, server, replica));
    }

    private sealed class FaultyAuth(FaultyStore store, IAuthStore inner) : IAuthStore
    {
        public ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel) =>
            store.Up(() => inner.FindAuthAsync(kind, key, now, cancel), $"FindAuthAsync {kind}");

        public Task<bool> AddAuthAsync(AuthRecord record) => store.Up(() => inner.AddAuthAsync(record), $"AddAuthAsync {record.Kind}");

        public Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now) => store.Up(() => inner.UseAuthAsync(kind, key, now), $"UseAuthAsync {kind}");

        public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires) => store.Up(() => inner.ExtendAuthAsync(kind, key, expires));

        public Task<bool> RemoveAuthAsync(AuthKind kind, string key) => store.Up(() => inner.RemoveAuthAsync(kind, key));

        public Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel) => store.Up(() => inner.ListAuthAsync(kind, cancel));

        public Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel) => store.Up(() => inner.CountAuthAsync(kind, cancel));

        public Task<bool> TakeAuthSweepAsync() => store.Up(async Task<bool> () => !store.IsSweptByAnother && await inner.TakeAuthSweepAsync());

        public Task ExpireAuthAsync(DateTimeOffset now) => store.Up(() => inner.ExpireAuthAsync(now));
    }

    private sealed class FaultyPermits(FaultyStore store, IPermitStore inner) : IPermitStore
    {
        public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => store.Up(() => inner.LeasePermitsAsync(key, wanted, limit));

        public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own) =>
            store.Up(() => inner.ShareStreamsAsync(replica, stamp, own));

        public Task<int> CountSessionsOfAsync(string issuer, string subject, int most) => store.Up(() => inner.CountSessionsOfAsync(issuer, subject, most));

        public Task<int> CountSessionsUpToAsync(int most) => store.Up(() => inner.CountSessionsUpToAsync(most));
    }
}
