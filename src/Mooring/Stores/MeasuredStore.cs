namespace Mooring.Stores;

/// <summary>Measures a store of any kind: how long each operation takes, its commit included, and which fail.</summary>
/// <param name="inner">The store; this one's from here on.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredStore(IStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IStore
{
    public bool IsRemote => inner.IsRemote;

    public DateTimeOffset? AwaySince => inner.AwaySince;

    public Task OpenAsync(CancellationToken cancel) =>
        ObserveAsync("open", Now, inner.OpenAsync(cancel));

    public Task<bool> TakeSweepAsync() => ObserveAsync("take_sweep", Now, inner.TakeSweepAsync());

    public ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel) =>
        ReadAsync("find_session", Now, inner.FindSessionAsync(sessionId, cancel));

    public Task SaveSessionAsync(SessionRecord session) =>
        ObserveAsync("save_session", Now, inner.SaveSessionAsync(session));

    public Task<bool> UpdateSessionAsync(SessionRecord session) =>
        ObserveAsync("update_session", Now, inner.UpdateSessionAsync(session));

    public Task SetListenerAsync(string sessionId, SessionListener listener) =>
        ObserveAsync("set_listener", Now, inner.SetListenerAsync(sessionId, listener));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) =>
        ObserveAsync("touch_sessions", Now, inner.TouchSessionsAsync(sessions));

    public Task DeleteSessionAsync(string sessionId) =>
        ObserveAsync("delete_session", Now, inner.DeleteSessionAsync(sessionId));

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) =>
        ObserveAsync("delete_idle_session", Now, inner.DeleteIdleSessionAsync(sessionId, before));

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        ObserveAsync("find_idle_sessions", Now, inner.FindIdleSessionsAsync(before, limit, cancel));

    public Task<int> CountSessionsAsync(CancellationToken cancel) =>
        ObserveAsync("count_sessions", Now, inner.CountSessionsAsync(cancel));

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel) =>
        ObserveAsync("find_links", Now, inner.FindLinksAsync(sessionId, cancel));

    public Task SaveLinkAsync(LinkRecord link) =>
        ObserveAsync("save_link", Now, inner.SaveLinkAsync(link));

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) =>
        ObserveAsync("open_stream", Now, inner.OpenStreamAsync(stream, primer));

    public Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null) =>
        ObserveAsync("append_event", Now, inner.AppendEventAsync(record, state));

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        ObserveAsync("set_stream_state", Now, inner.SetStreamStateAsync(sessionId, streamId, state));

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) =>
        ObserveAsync("set_call_cursor", Now, inner.SetCallCursorAsync(sessionId, streamId, cursor));

    public Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to) =>
        ObserveAsync("take_call", Now, inner.TakeCallAsync(sessionId, streamId, from, to));

    public ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        ReadAsync("find_stream", Now, inner.FindStreamAsync(sessionId, streamId, cancel));

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel) =>
        ObserveAsync("read_events", Now, inner.ReadEventsAsync(sessionId, streamId, after, limit, cancel));

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) =>
        ObserveAsync("trim_events", Now, inner.TrimEventsAsync(sessionId, maxEvents, maxBytes));

    public Task<int> ExpireEventsAsync(DateTimeOffset before) =>
        ObserveAsync("expire_events", Now, inner.ExpireEventsAsync(before));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) =>
        ObserveAsync("find_running_calls", Now, inner.FindRunningCallsAsync(cancel));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        ObserveAsync("find_running_calls_of", Now, inner.FindRunningCallsAsync(replica, cancel));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        ObserveAsync("find_running_calls_except", Now, inner.FindRunningCallsExceptAsync(replicas, limit, cancel));

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) =>
        ObserveAsync("load_catalogue", Now, inner.LoadCatalogueAsync(cancel));

    public ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) =>
        ReadAsync("find_catalogue", Now, inner.FindCatalogueAsync(server, key, kind, cancel));

    public Task SaveCatalogueAsync(CatalogueRecord record) =>
        ObserveAsync("save_catalogue", Now, inner.SaveCatalogueAsync(record));

    public Task DeleteCatalogueAsync(string server) =>
        ObserveAsync("delete_catalogue", Now, inner.DeleteCatalogueAsync(server));

    public Task DeleteCatalogueAsync(string server, string key) =>
        ObserveAsync("delete_catalogue_key", Now, inner.DeleteCatalogueAsync(server, key));

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) =>
        ObserveAsync("load_names", Now, inner.LoadNamesAsync(cancel));

    public Task<string> ClaimNameAsync(NameRecord name) =>
        ObserveAsync("claim_name", Now, inner.ClaimNameAsync(name));

    public Task ReleaseNamesAsync(string server) =>
        ObserveAsync("release_names", Now, inner.ReleaseNamesAsync(server));

    public Task SaveTaskAsync(TaskRecord task) =>
        ObserveAsync("save_task", Now, inner.SaveTaskAsync(task));

    public ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) =>
        ReadAsync("find_task", Now, inner.FindTaskAsync(server, taskId, cancel));

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        ObserveAsync("find_tasks_of", Now, inner.FindTasksOfAsync(server, issuer, subject, cancel));

    public Task ExpireTasksAsync(DateTimeOffset now) =>
        ObserveAsync("expire_tasks", Now, inner.ExpireTasksAsync(now));

    public Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll) =>
        ObserveAsync("hold_task", Now, inner.HoldTaskAsync(task, mostOfOne, mostOfAll));

    public Task<bool> UpdateHeldTaskAsync(HeldTask task) =>
        ObserveAsync("update_held_task", Now, inner.UpdateHeldTaskAsync(task));

    public ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) =>
        ReadAsync("find_held_task", Now, inner.FindHeldTaskAsync(id, cancel));

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        ObserveAsync("find_unfinished_tasks", Now, inner.FindUnfinishedTasksAsync(replica, cancel));

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        ObserveAsync("find_unfinished_tasks_except", Now, inner.FindUnfinishedTasksExceptAsync(replicas, limit, cancel));

    public Task DropHeldTaskAsync(string id) =>
        ObserveAsync("drop_held_task", Now, inner.DropHeldTaskAsync(id));

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
