using Mooring.Stores;

namespace Mooring.Vault;

/// <content>What holds nothing to be sealed.</content>
internal sealed partial class SealedStore
{
    public Task SetListenerAsync(string sessionId, SessionListener listener) => inner.SetListenerAsync(sessionId, listener);

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) => inner.TouchSessionsAsync(sessions);

    public Task DeleteSessionAsync(string sessionId) => inner.DeleteSessionAsync(sessionId);

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) => inner.DeleteIdleSessionAsync(sessionId, before);

    public Task<bool> TakeSweepAsync() => inner.TakeSweepAsync();

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        inner.FindIdleSessionsAsync(before, limit, cancel);

    public Task<int> CountSessionsAsync(CancellationToken cancel) => inner.CountSessionsAsync(cancel);

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) => inner.SetStreamStateAsync(sessionId, streamId, state);

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) => inner.SetCallCursorAsync(sessionId, streamId, cursor);

    public Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to) => inner.TakeCallAsync(sessionId, streamId, from, to);

    public ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        inner.FindStreamAsync(sessionId, streamId, cancel);

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) => inner.TrimEventsAsync(sessionId, maxEvents, maxBytes);

    public Task<int> ExpireEventsAsync(DateTimeOffset before) => inner.ExpireEventsAsync(before);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) => inner.FindRunningCallsAsync(cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) => inner.FindRunningCallsAsync(replica, cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        inner.FindRunningCallsExceptAsync(replicas, limit, cancel);

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) => inner.LoadCatalogueAsync(cancel);

    public Task SaveCatalogueAsync(CatalogueRecord record) => inner.SaveCatalogueAsync(record);

    public ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) =>
        inner.FindCatalogueAsync(server, key, kind, cancel);

    public Task DeleteCatalogueAsync(string server) => inner.DeleteCatalogueAsync(server);

    public Task DeleteCatalogueAsync(string server, string key) => inner.DeleteCatalogueAsync(server, key);

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) => inner.LoadNamesAsync(cancel);

    public Task<string> ClaimNameAsync(NameRecord name) => inner.ClaimNameAsync(name);

    public Task ReleaseNamesAsync(string server) => inner.ReleaseNamesAsync(server);

    public Task SaveTaskAsync(TaskRecord task) => inner.SaveTaskAsync(task);

    public ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) => inner.FindTaskAsync(server, taskId, cancel);

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        inner.FindTasksOfAsync(server, issuer, subject, cancel);

    public Task ExpireTasksAsync(DateTimeOffset now) => inner.ExpireTasksAsync(now);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
