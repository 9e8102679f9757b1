using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>
/// The session's newest stream may be open at another replica: what there is to say then goes there by letter, in order. Which replica has
/// it stands in the session's record; the others are told by signal when it moves.
/// </content>
internal sealed partial class Outbox
{
    /// <summary>Kind of letter: one line for the stream of a session. Its subject is how often it was passed on.</summary>
    public const string SayLetter = "say";

    /// <summary>Kind of letter: a replica wants to hear of each event of a stream. Its subject is the stream, its body the replica.</summary>
    public const string FollowLetter = "follow";

    /// <summary>Kind of signal: session, replica and stream; that replica has the session's newest stream now.</summary>
    public const string ListensSignal = "listens";

    /// <summary>Kind of signal: session and stream; another replica has written to it.</summary>
    public const string WroteSignal = "wrote";

    /// <summary>A line that was passed on so often stays where it is: the replicas do not agree yet who has the stream.</summary>
    private const int MostHops = 3;

    /// <summary>The replica that has the session's newest stream, where it is not this one.</summary>
    private string? _elsewhere;

    /// <summary>How far apart the two ways are at most; later it is another change.</summary>
    private static readonly TimeSpan BothWaysWithin = TimeSpan.FromSeconds(5);

    /// <summary>By method: changes told by letter less those told as news, and when the last one was.</summary>
    private Dictionary<string, (int Balance, long At)>? _told;

    private Dictionary<string, string>? _followers;
    private Task _away = Task.CompletedTask;
    private long _awayBytes;

    /// <summary>What the record says about where the newest stream is.</summary>
    public void HeldBy(string? replica)
    {
        lock (_gate)
        {
            _elsewhere = replica is not null && replica != services.Peers.Name && services.Peers.IsAlive(replica) ? replica : null;
        }
    }

    /// <summary>From now on the newest stream is one of this process. To be called before it shows anything.</summary>
    public async Task ListenHereAsync(string streamId)
    {
        lock (_gate)
        {
            _elsewhere = null;
        }

        if (!services.Peers.IsShared)
        {
            return;
        }

        try
        {
            await services.Store.SetListenerAsync(session.Id, services.Peers.Name);
        }
        catch (StoreException e)
        {
            // The signal still tells those who have the session just now.
            OutboxLog.ListenerNotKept(services.Logger, e);
        }

        services.Peers.SignalAll(ListensSignal, $"{session.Id} {services.Peers.Name} {streamId}");
    }

    /// <summary>Another replica has the newest stream now; what waits here goes there.</summary>
    /// <param name="replica">Who.</param>
    /// <param name="streamId">The stream there. Where it is one of ours, it has moved.</param>
    public async Task MovedAsync(string replica, string streamId)
    {
        EventStream? same;
        List<EventStream> silent;
        lock (_gate)
        {
            _elsewhere = replica;
            same = _streams.Find(s => s.Id == streamId);
            silent = [.. _streams.Where(s => !s.IsAttached && s.IsResumable && !ReferenceEquals(s, same))];
            _streams.RemoveAll(s => ReferenceEquals(s, same) || silent.Contains(s));
            while (_backlog is not null && _backlog.TryDequeue(out var line))
            {
                SendAwayLocked(replica, line, hops: 0);
            }

            _backlog = null;
            _backlogBytes = 0;
        }

        if (same is not null)
        {
            same.Connection?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
            await same.SettleAsync();
            // What was still written here just now is in the log; the other replica has to look.
            services.Peers.Signal(replica, WroteSignal, $"{session.Id} {streamId}");
        }

        foreach (var stream in silent)
        {
            await MoveAwayAsync(stream, replica);
        }
    }

    /// <summary>Takes a line that another replica passed on.</summary>
    public void Take(byte[] line, int hops)
    {
        lock (_gate)
        {
            if (_elsewhere is { } holder && hops < MostHops)
            {
                SendAwayLocked(holder, line, hops);
                return;
            }

            var change = ListKinds.All.Select(kind => kind.Changed()).FirstOrDefault(method => line.AsSpan().SequenceEqual(JsonRpc.Notification(method)));
            if (change is not null && IsToldLocked(change, byLetter: true))
            {
                return;
            }

            SendHereLocked(line);
        }
    }

    /// <summary>Another replica has written to one of our streams.</summary>
    public void Wrote(string streamId)
    {
        Find(streamId)?.CatchUp();
    }

    /// <summary>A client of ours has come back to another replica for the stream of a call that runs here: that one is told of each event.</summary>
    public void FollowedBy(string replica, string streamId)
    {
        // Letters to a dead replica come to whoever took it over, which may be the one that wrote them.
        if (replica == services.Peers.Name || Find(streamId) is not { IsTheirs: false } stream)
        {
            return;
        }

        lock (_gate)
        {
            (_followers ??= new(StringComparer.Ordinal))[streamId] = replica;
            session.Log.Committed ??= TellFollower;
        }

        stream.Connection?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
        services.Peers.Signal(replica, WroteSignal, $"{session.Id} {streamId}");
    }

    private void TellFollower(string streamId)
    {
        string? follower;
        lock (_gate)
        {
            follower = _followers?.GetValueOrDefault(streamId);
        }

        if (follower is not null)
        {
            services.Peers.Signal(follower, WroteSignal, $"{session.Id} {streamId}");
        }
    }

    /// <summary>A replica is gone; if it had the stream, what there is to say waits here until the client is back.</summary>
    public void Gone(string replica)
    {
        lock (_gate)
        {
            if (_elsewhere == replica)
            {
                _elsewhere = null;
            }
        }
    }

    /// <summary>
    /// A change of a list comes to the replica that has the stream by two ways: as news of the catalogue, and by letter from the replica whose
    /// link of the session heard it. Whichever comes second is not told again.
    /// </summary>
    private bool IsToldLocked(string method, bool byLetter)
    {
        var now = services.Time.GetTimestamp();
        var (balance, at) = (_told ??= new(StringComparer.Ordinal)).GetValueOrDefault(method);
        if (services.Time.GetElapsedTime(at, now) > BothWaysWithin)
        {
            balance = 0;
        }

        var isSecond = byLetter ? balance < 0 : balance > 0;
        _told[method] = (balance + (byLetter ? 1 : -1), now);
        return isSecond;
    }

    private void SendAwayLocked(string holder, byte[] line, int hops)
    {
        if (_awayBytes + line.Length > BacklogLimit)
        {
            services.Streams.Dropped("backlog_full");
            return;
        }

        _awayBytes += line.Length;
        _away = SendAwayAsync(_away, holder, line, hops);
    }

    private async Task SendAwayAsync(Task before, string holder, byte[] line, int hops)
    {
        // Never under the caller's lock, and one after the other.
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        var taken = await services.Peers.PostAsync(holder, SayLetter, new Letter(session.Id, (hops + 1).ToString(), line));
        lock (_gate)
        {
            _awayBytes -= line.Length;
            if (!taken)
            {
                _elsewhere = _elsewhere == holder ? null : _elsewhere;
                SendHereLocked(line);
            }
        }
    }

    /// <summary>As <see cref="MoveAsync"/>, to a stream at another replica.</summary>
    private async Task MoveAwayAsync(EventStream from, string replica)
    {
        await from.SettleAsync();
        try
        {
            foreach (var record in await session.Log.ReadAsync(from.Id, from.Shown, limit: 1000, CancellationToken.None))
            {
                if (!record.Body.IsEmpty)
                {
                    lock (_gate)
                    {
                        SendAwayLocked(replica, record.Body.ToArray(), hops: 0);
                    }
                }
            }
        }
        catch (StoreException)
        {
            services.Streams.Dropped("store");
        }

        from.Finish(StreamState.Finished);
    }

    private static partial class OutboxLog
    {
        [LoggerMessage(503, LogLevel.Warning, "Where a session is listened to was not kept in the store.", EventName = "ListenerNotKept")]
        public static partial void ListenerNotKept(ILogger logger, Exception exception);
    }
}
