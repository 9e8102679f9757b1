namespace Mooring.Stores;

/// <summary>Measures a store of any kind: how long each operation takes, its commit included, and which fail.</summary>
/// <param name="inner">The store; this one's from here on.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredStore(IStore inner, string kind, StoreMetrics metrics, TimeProvider time) : IStore
{
    public bool IsRemote => inner.IsRemote;

    public Task OpenAsync(CancellationToken cancel) =>
        ObserveAsync("open", time.GetTimestamp(), inner.OpenAsync(cancel));

    public ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel) =>
        ReadAsync("find_session", time.GetTimestamp(), inner.FindSessionAsync(sessionId, cancel));

    public Task SaveSessionAsync(SessionRecord session) =>
        ObserveAsync("save_session", time.GetTimestamp(), inner.SaveSessionAsync(session));

    public Task<bool> UpdateSessionAsync(SessionRecord session) =>
        ObserveAsync("update_session", time.GetTimestamp(), inner.UpdateSessionAsync(session));

    public Task SetListenerAsync(string sessionId, SessionListener listener) =>
        ObserveAsync("set_listener", time.GetTimestamp(), inner.SetListenerAsync(sessionId, listener));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) =>
        ObserveAsync("touch_sessions", time.GetTimestamp(), inner.TouchSessionsAsync(sessions));

    public Task DeleteSessionAsync(string sessionId) =>
        ObserveAsync("delete_session", time.GetTimestamp(), inner.DeleteSessionAsync(sessionId));

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        ObserveAsync("find_idle_sessions", time.GetTimestamp(), inner.FindIdleSessionsAsync(before, limit, cancel));

    public Task<int> CountSessionsAsync(CancellationToken cancel) =>
        ObserveAsync("count_sessions", time.GetTimestamp(), inner.CountSessionsAsync(cancel));

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel) =>
        ObserveAsync("find_links", time.GetTimestamp(), inner.FindLinksAsync(sessionId, cancel));

    public Task SaveLinkAsync(LinkRecord link) =>
        ObserveAsync("save_link", time.GetTimestamp(), inner.SaveLinkAsync(link));

    public Task DeleteLinkAsync(string sessionId, string server) =>
        ObserveAsync("delete_link", time.GetTimestamp(), inner.DeleteLinkAsync(sessionId, server));

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) =>
        ObserveAsync("open_stream", time.GetTimestamp(), inner.OpenStreamAsync(stream, primer));

    public Task AppendEventAsync(EventRecord record, StreamState? state = null) =>
        ObserveAsync("append_event", time.GetTimestamp(), inner.AppendEventAsync(record, state));

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        ObserveAsync("set_stream_state", time.GetTimestamp(), inner.SetStreamStateAsync(sessionId, streamId, state));

    public ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        ReadAsync("find_stream", time.GetTimestamp(), inner.FindStreamAsync(sessionId, streamId, cancel));

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel) =>
        ObserveAsync("read_events", time.GetTimestamp(), inner.ReadEventsAsync(sessionId, streamId, after, limit, cancel));

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) =>
        ObserveAsync("trim_events", time.GetTimestamp(), inner.TrimEventsAsync(sessionId, maxEvents, maxBytes));

    public Task<int> ExpireEventsAsync(DateTimeOffset before) =>
        ObserveAsync("expire_events", time.GetTimestamp(), inner.ExpireEventsAsync(before));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) =>
        ObserveAsync("find_running_calls", time.GetTimestamp(), inner.FindRunningCallsAsync(cancel));

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        ObserveAsync("find_running_calls_of", time.GetTimestamp(), inner.FindRunningCallsAsync(replica, cancel));

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) =>
        ObserveAsync("load_catalogue", time.GetTimestamp(), inner.LoadCatalogueAsync(cancel));

    public Task SaveCatalogueAsync(CatalogueRecord record) =>
        ObserveAsync("save_catalogue", time.GetTimestamp(), inner.SaveCatalogueAsync(record));

    public Task DeleteCatalogueAsync(string server) =>
        ObserveAsync("delete_catalogue", time.GetTimestamp(), inner.DeleteCatalogueAsync(server));

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) =>
        ObserveAsync("load_names", time.GetTimestamp(), inner.LoadNamesAsync(cancel));

    public Task<string> ClaimNameAsync(NameRecord name) =>
        ObserveAsync("claim_name", time.GetTimestamp(), inner.ClaimNameAsync(name));

    public Task ReleaseNamesAsync(string server) =>
        ObserveAsync("release_names", time.GetTimestamp(), inner.ReleaseNamesAsync(server));

    public Task SaveTaskAsync(TaskRecord task) =>
        ObserveAsync("save_task", time.GetTimestamp(), inner.SaveTaskAsync(task));

    public ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) =>
        ReadAsync("find_task", time.GetTimestamp(), inner.FindTaskAsync(server, taskId, cancel));

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        ObserveAsync("find_tasks_of", time.GetTimestamp(), inner.FindTasksOfAsync(server, issuer, subject, cancel));

    public Task ExpireTasksAsync(DateTimeOffset now) =>
        ObserveAsync("expire_tasks", time.GetTimestamp(), inner.ExpireTasksAsync(now));

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    // The work is begun by the caller's own call, in the order of the calls; here it is only waited for.
    private async Task ObserveAsync(string operation, long started, Task work)
    {
        try
        {
            await work;
        }
        catch (StoreException)
        {
            metrics.Failed(kind, operation);
            throw;
        }
        finally
        {
            metrics.Took(kind, operation, time.GetElapsedTime(started));
        }
    }

    private async Task<T> ObserveAsync<T>(string operation, long started, Task<T> work)
    {
        await ObserveAsync(operation, started, (Task)work);
        return await work;
    }

    private async ValueTask<T> ReadAsync<T>(string operation, long started, ValueTask<T> work)
    {
        try
        {
            return await work;
        }
        catch (StoreException)
        {
            metrics.Failed(kind, operation);
            throw;
        }
        finally
        {
            metrics.Took(kind, operation, time.GetElapsedTime(started));
        }
    }
}
