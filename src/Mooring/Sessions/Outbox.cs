using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <summary>
/// What a session's client is told outside of calls. Each message goes to exactly one stream: the newest one that is connected, else the
/// newest that can be resumed, else it waits here, bounded, for the next one (invariant 7).
/// </summary>
internal sealed partial class Outbox(Session session, SessionServices services)
{
    private readonly Lock _gate = new();
    private readonly List<EventStream> _streams = new(1);
    private List<EventStream>? _calls;

    /// <summary>How the session ended; what comes to it after that ends with it.</summary>
    private StreamReason? _ended;

    /// <summary>Whether a stream is connected just now, here or at another replica.</summary>
    public bool IsConnected
    {
        get
        {
            if (!session.IsKept)
            {
                return HasListeners;
            }

            lock (_gate)
            {
                return HolderLocked is not null || _streams.Exists(s => s.IsAttached);
            }
        }
    }

    /// <summary>Whether the newest stream is one of this process, and connected.</summary>
    public bool HasStream
    {
        get
        {
            lock (_gate)
            {
                return HolderLocked is null && _streams.Exists(s => s.IsAttached);
            }
        }
    }

    /// <summary>Sends a message that stands on one line.</summary>
    /// <param name="line">The message.</param>
    /// <param name="origin">The server's event it was made of, where that had an id.</param>
    /// <param name="changed">The server whose list it says is another one; see <see cref="SendListChanged"/>.</param>
    /// <returns>False: there was no room for it.</returns>
    public bool Send(byte[] line, EventOrigin? origin = null, string? changed = null)
    {
        if (!session.IsKept)
        {
            TellListeners(line);
            return true;
        }

        lock (_gate)
        {
            return SendLocked(line, origin, changed);
        }
    }

    /// <summary>Sends what a client of HTTP+SSE waits for: there is room for it.</summary>
    /// <param name="line">The answer, on one line.</param>
    /// <returns>Completes when it is no longer lost with this process: it is with the stream here, or in the mailbox of the replica that has the stream.</returns>
    public Task SendKept(byte[] line)
    {
        var passed = new PassedMessage(Peers.NewName(), mayBeThere: false) { IsAnswer = true };
        lock (_gate)
        {
            SendLocked(line, passed: passed);
        }

        return passed.Kept;
    }

    /// <summary>Sends a notification without params, unless the same one waits already.</summary>
    /// <param name="method">Which list.</param>
    /// <param name="server">Whose list, where the change may come to the replica that has the stream in two ways; it is told once then.</param>
    /// <param name="isEverybodys">Whether every replica sees the change; the one that has the stream then tells it.</param>
    public void SendListChanged(string method, string? server = null, bool isEverybodys = false)
    {
        var line = JsonRpc.Notification(method);
        if (!session.IsKept)
        {
            TellListeners(line);
            return;
        }

        lock (_gate)
        {
            if (isEverybodys && (HolderLocked is not null || (services.Peers.IsShared && server is not null && Known.IsTold(server, method, byLetter: false))))
            {
                return;
            }

            if (_backlog.Any(waiting => waiting.Line.AsSpan().SequenceEqual(line)))
            {
                return;
            }

            SendLocked(line, changed: server);
        }
    }

    /// <summary>Adds a stream as the newest; what waited goes to it, also what older streams could not show any more.</summary>
    public async Task AddAsync(EventStream stream)
    {
        List<EventStream> replaced = [];
        EventStream? silent;
        lock (_gate)
        {
            if (EndsWithLocked(stream))
            {
                return;
            }

            silent = _streams.FindLast(s => !s.IsAttached);
            _streams.RemoveAll(s => !s.IsAttached && (!ReferenceEquals(s, silent)));
            _streams.Add(stream);
            // Older ones stay: closing them at once makes two live streams of one client fight for ever.
            while (_streams.Count(s => s.IsAttached && !ReferenceEquals(s, stream)) > services.Config.Current.Limits.GetStreamsPerSession - 1)
            {
                var oldest = _streams.First(s => s.IsAttached);
                _streams.Remove(oldest);
                replaced.Add(oldest);
            }

            GiveBacklogLocked(stream);
        }

        foreach (var old in replaced)
        {
            old.Connection?.Complete(StreamReason.Limit, ClosedBy.Gateway);
        }

        if (silent is { IsResumable: true } && !ReferenceEquals(silent, stream))
        {
            await MoveAsync(silent, stream);
        }
    }

    /// <summary>Knows the stream of a call, so that it can be resumed while the call runs.</summary>
    public void AddCall(EventStream stream)
    {
        lock (_gate)
        {
            _calls ??= new List<EventStream>(1);
            _calls.RemoveAll(s => (s.IsFinished || s.IsTheirs) && !s.IsAttached);
            _calls.Add(stream);
        }
    }

    /// <summary>The stream of that name, where this process has it.</summary>
    public EventStream? Find(string streamId)
    {
        lock (_gate)
        {
            return _streams.Find(s => s.Id == streamId) ?? _calls?.Find(s => s.Id == streamId);
        }
    }

    /// <summary>Takes a stream known from the store among its own, as the newest.</summary>
    public EventStream Adopt(EventStream stream)
    {
        lock (_gate)
        {
            if (_streams.Find(s => s.Id == stream.Id) is { } known)
            {
                return known;
            }

            if (EndsWithLocked(stream))
            {
                return stream;
            }

            _followers?.Remove(stream.Id);
            _streams.Add(stream);
            GiveBacklogLocked(stream);
            return stream;
        }
    }

    /// <summary>Completes when what was said before is far enough on its way.</summary>
    public Task ReadyAsync()
    {
        EventStream? slowest;
        lock (_gate)
        {
            slowest = _streams.Find(s => !s.IsReady);
            if (_backlogBytes > BacklogLimit / 2 && HolderLocked is not null)
            {
                return _passing;
            }
        }

        return slowest?.ReadyAsync() ?? Task.CompletedTask;
    }

    /// <summary>Completes when everything said so far is in the log and with its connection.</summary>
    public Task SettleAsync()
    {
        EventStream[] streams;
        Task passing;
        lock (_gate)
        {
            streams = [.. _streams, .. _calls ?? []];
            passing = _passing;
        }

        return Task.WhenAll([passing, .. streams.Select(stream => stream.SettleAsync())]);
    }

    /// <summary>Ends the connections and keeps the streams: what comes now is for clients that resume them, here or in the next process.</summary>
    public void Disconnect(StreamReason reason)
    {
        foreach (var listener in Listening)
        {
            listener.Connection.Complete(reason, ClosedBy.Gateway);
        }

        EventStream[] streams;
        lock (_gate)
        {
            streams = [.. _streams, .. _calls ?? []];
        }

        foreach (var stream in streams)
        {
            stream.Connection?.Complete(reason, ClosedBy.Gateway);
        }
    }

    public void End(StreamReason reason)
    {
        foreach (var listener in Listening)
        {
            listener.End(reason);
        }

        EventStream[] streams;
        lock (_gate)
        {
            _ended = reason;
            streams = [.. _streams, .. _calls ?? []];
            _streams.Clear();
            _calls = null;
            _backlog.Clear();
            _backlogBytes = 0;
        }

        foreach (var stream in streams)
        {
            stream.End(reason);
        }
    }

    /// <summary>Whether a stream comes only when the session has ended, since the store took its time over it: it ends as those did that were there.</summary>
    private bool EndsWithLocked(EventStream stream)
    {
        if (_ended is { } reason)
        {
            stream.End(reason);
        }

        return _ended is not null;
    }

    /// <summary>Streams of running calls whose client was given an event id to come back with.</summary>
    public IReadOnlyList<EventStream> ResumableCalls
    {
        get
        {
            lock (_gate)
            {
                return _calls is null ? [] : [.. _calls.Where(s => s.IsResumable && s.IsAttached)];
            }
        }
    }

    /// <summary>Connections of streams that stand open now, those of calls not included.</summary>
    public IReadOnlyList<SseConnection> Connections
    {
        get
        {
            lock (_gate)
            {
                return [.. _streams.Select(s => s.Connection).Concat(Listening.Select(l => l.Connection)).OfType<SseConnection>().Where(c => c.IsOpen)];
            }
        }
    }

    /// <summary>A client that opens a new stream has given the silent one up: what that one never showed is told on the new one.</summary>
    private async Task MoveAsync(EventStream from, EventStream to)
    {
        await from.SettleAsync();
        lock (_gate)
        {
            if (from.IsAttached || !_streams.Remove(from))
            {
                return;
            }
        }

        try
        {
            await foreach (var record in session.Log.ReadToEndAsync(from.Id, from.Shown))
            {
                if (!record.Body.IsEmpty)
                {
                    to.Append(record.Body.ToArray(), isOld: true);
                }
            }
        }
        catch (StoreException)
        {
            services.Streams.Dropped("store");
        }

        from.Finish(StreamState.Finished);
    }

    private bool SendLocked(byte[] line, EventOrigin? origin = null, string? changed = null, PassedMessage? passed = null)
    {
        if (origin is not null && session.IsLegacySse && HolderLocked is null && Known.WasHeard(origin))
        {
            passed?.IsKept();
            return true;
        }

        // Behind what waits already, so that everything comes in order.
        if (HolderLocked is null && _backlog.Count == 0 && NewestLocked() is { } stream)
        {
            stream.Append(line, origin: origin, passed: passed);
            return true;
        }

        if (!KeepLocked(new Waiting(line, passed?.Hops ?? 0, origin, changed, passed?.Name, passed)))
        {
            return false;
        }

        FlushLocked();
        return true;
    }

    private EventStream? NewestLocked() =>
        _streams.FindLast(s => s.IsAttached) ?? _streams.FindLast(s => s.IsResumable || session.IsLegacySse);
}
