namespace Mooring.Stores.Memory;

/// <summary>A store that ends with its process: for tests, and for gateways that may forget. Every call is done when it returns.</summary>
internal sealed partial class MemoryStore(TimeProvider time) : IStore, IReplicaStore, IAuthStore, IVaultStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MemorySession> _sessions = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Server, string Key, string Kind), CatalogueRecord> _catalogue = [];
    private readonly Dictionary<(string Kind, string Name), NameRecord> _names = [];
    private readonly Dictionary<(string Server, string TaskId), TaskRecord> _tasks = [];

    public Task OpenAsync(CancellationToken cancel) => Task.CompletedTask;

    public ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_sessions.GetValueOrDefault(sessionId)?.Record);
        }
    }

    public Task SaveSessionAsync(SessionRecord session)
    {
        // A copy: the caller's buffers are his again when the task is done.
        var copy = session with { InitializeParams = session.InitializeParams.ToArray(), Lasting = [.. session.Lasting] };
        lock (_gate)
        {
            if (_sessions.TryGetValue(session.Id, out var known))
            {
                known.Record = copy with { Listener = known.Record.Listener, Revision = known.Record.Revision + 1 };
            }
            else
            {
                _sessions.Add(session.Id, new MemorySession(copy with { Listener = null, Revision = 0 }));
            }
        }

        return Task.CompletedTask;
    }

    public Task<bool> UpdateSessionAsync(SessionRecord session)
    {
        lock (_gate)
        {
            if (_sessions.GetValueOrDefault(session.Id) is not { } known || known.Record.Revision != session.Revision)
            {
                return Task.FromResult(false);
            }

            known.Record = known.Record with
            {
                Version = session.Version,
                InitializeParams = session.InitializeParams.ToArray(),
                Initialized = session.Initialized,
                LogLevel = session.LogLevel,
                Lasting = [.. session.Lasting],
                Revision = session.Revision + 1,
            };
            return Task.FromResult(true);
        }
    }

    public Task SetListenerAsync(string sessionId, SessionListener listener) =>
        With(sessionId, session => session.Record = session.Record with { Listener = listener });

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions)
    {
        lock (_gate)
        {
            foreach (var (id, seen) in sessions)
            {
                if (_sessions.TryGetValue(id, out var session) && session.Record.LastSeen < seen)
                {
                    session.Record = session.Record with { LastSeen = seen };
                }
            }
        }

        return Task.CompletedTask;
    }

    public Task DeleteSessionAsync(string sessionId)
    {
        lock (_gate)
        {
            _sessions.Remove(sessionId);
        }

        return Task.CompletedTask;
    }

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before)
    {
        lock (_gate)
        {
            if (_sessions.TryGetValue(sessionId, out var session) && session.Record.LastSeen >= before)
            {
                return Task.FromResult(false);
            }

            _sessions.Remove(sessionId);
            return Task.FromResult(true);
        }
    }

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<string>>(
                [.. _sessions.Values.Select(session => session.Record).Where(record => record.LastSeen < before)
                    .OrderBy(record => record.LastSeen).Take(limit).Select(record => record.Id)]);
        }
    }

    public Task<int> CountSessionsAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult(_sessions.Count);
        }
    }

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<LinkRecord>>(
                _sessions.TryGetValue(sessionId, out var session) ? [.. session.Links.Values] : []);
        }
    }

    public Task SaveLinkAsync(LinkRecord link) => With(
        link.SessionId, session => session.Links[link.Server] = link with
        {
            InitializeResult = link.InitializeResult.ToArray(),
            OwnLists = link.OwnLists.ToArray(),
            Heard = session.Links.GetValueOrDefault(link.Server) is { Heard: { } heard } known && known.UpstreamSessionId == link.UpstreamSessionId ? heard : link.Heard,
        });

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) => With(stream.SessionId, session =>
    {
        if (!session.Streams.TryAdd(stream.StreamId, stream with { RequestIds = [.. stream.RequestIds], TrimmedTo = 0 }))
        {
            throw new InvalidOperationException($"Stream {stream.StreamId} was opened before.");
        }

        if (primer is not null)
        {
            session.Append(primer);
        }
    });

    public async Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null)
    {
        var appended = true;
        await With(record.SessionId, session =>
        {
            if (session.Streams.ContainsKey(record.StreamId))
            {
                appended = session.Append(record);
                if (appended && state is { } changed)
                {
                    session.SetState(record.StreamId, changed, record.Written);
                }
            }
        });
        return appended;
    }

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        With(sessionId, session => session.SetState(streamId, state, time.GetUtcNow()));

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) => With(sessionId, session => session.SetCursor(streamId, cursor));

    public Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to)
    {
        lock (_gate)
        {
            return Task.FromResult(_sessions.GetValueOrDefault(sessionId)?.Take(streamId, from, to) == true);
        }
    }

    public ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_sessions.GetValueOrDefault(sessionId)?.Streams.GetValueOrDefault(streamId));
        }
    }

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(
        string sessionId, string streamId, long after, int limit, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult(_sessions.TryGetValue(sessionId, out var session) ? session.Read(streamId, after, limit) : []);
        }
    }

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) =>
        With(sessionId, session => session.Trim(maxEvents, maxBytes));

    public Task<int> ExpireEventsAsync(DateTimeOffset before)
    {
        lock (_gate)
        {
            return Task.FromResult(_sessions.Values.Sum(session => session.Expire(before)));
        }
    }

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<StreamRecord>>(
                [.. _sessions.Values.SelectMany(session => session.Streams.Values)
                    .Where(stream => stream.State == StreamState.Running && stream.RequestIds.Count > 0)]);
        }
    }

    public async Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        [.. (await FindRunningCallsAsync(cancel)).Where(stream => stream.Kind == StreamKind.Post && stream.Replica == replica)];

    public async Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        [.. (await FindRunningCallsAsync(cancel)).Where(stream => stream.Kind == StreamKind.Post && !replicas.Contains(stream.Replica ?? "")).Take(limit)];

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<CatalogueRecord>>([.. _catalogue.Values]);
        }
    }

    public Task SaveCatalogueAsync(CatalogueRecord record)
    {
        lock (_gate)
        {
            _catalogue[(record.Server, record.Key, record.Kind)] = record with { Body = record.Body.ToArray() };
        }

        return Task.CompletedTask;
    }

    public ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_catalogue.GetValueOrDefault((server, key, kind)));
        }
    }

    public Task DeleteCatalogueAsync(string server) => DropCatalogue(entry => entry.Server == server);

    public Task DeleteCatalogueAsync(string server, string key) => DropCatalogue(entry => entry.Server == server && entry.Key == key);

    private Task DropCatalogue(Func<(string Server, string Key, string Kind), bool> isGone)
    {
        lock (_gate)
        {
            foreach (var entry in _catalogue.Keys.Where(isGone).ToList())
            {
                _catalogue.Remove(entry);
            }
        }

        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<NameRecord>>([.. _names.Values]);
        }
    }

    public Task<string> ClaimNameAsync(NameRecord name)
    {
        lock (_gate)
        {
            _names.TryAdd((name.Kind, name.Name), name);
            return Task.FromResult(_names[(name.Kind, name.Name)].Server);
        }
    }

    public Task ReleaseNamesAsync(string server)
    {
        lock (_gate)
        {
            foreach (var held in _names.Where(held => held.Value.Server == server).ToList())
            {
                _names.Remove(held.Key);
            }
        }

        return Task.CompletedTask;
    }

    public Task SaveTaskAsync(TaskRecord task)
    {
        lock (_gate)
        {
            _tasks[(task.Server, task.TaskId)] = task;
        }

        return Task.CompletedTask;
    }

    public ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_tasks.GetValueOrDefault((server, taskId)));
        }
    }

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<string>>(
                [.. _tasks.Values.Where(t => t.Server == server && t.Issuer == issuer && t.Subject == subject).Select(t => t.TaskId)]);
        }
    }

    public Task ExpireTasksAsync(DateTimeOffset now)
    {
        lock (_gate)
        {
            foreach (var (key, _) in _tasks.Where(t => t.Value.Expires < now).ToList())
            {
                _tasks.Remove(key);
            }

            ExpireHeldLocked(now);
        }

        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => default;

    /// <summary>Does something with a session unless it is gone. Failures come with the task, as from every other kind of store.</summary>
    private Task With(string sessionId, Action<MemorySession> action)
    {
        lock (_gate)
        {
            if (_sessions.TryGetValue(sessionId, out var session))
            {
                try
                {
                    action(session);
                }
                catch (InvalidOperationException failure)
                {
                    return Task.FromException(failure);
                }
            }
        }

        return Task.CompletedTask;
    }
}
