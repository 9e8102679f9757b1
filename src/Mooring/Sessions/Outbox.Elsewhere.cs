using System.Globalization;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <content>
/// The session's newest stream may be open at another replica: what there is to say then goes there by letter, in order. Which replica has
/// it stands in the session's record; the others are told by signal when it moves.
/// </content>
internal sealed partial class Outbox
{
    /// <summary>Kind of letter: one line for the stream of a session. Its subject is how often it was passed on, and the server's event it was made of, or the server whose list changed.</summary>
    public const string SayLetter = "say";

    /// <summary>A line that was passed on so often waits a while: the replicas do not agree yet who has the stream.</summary>
    private const int MostHops = 3;

    /// <summary>Between the name that a line keeps and how often it was passed on before.</summary>
    private const char HopMark = '~';

    /// <summary>Where the newest stream is, if it is not here. The replica may be dead, and come to be known as alive again.</summary>
    private SessionListener? _elsewhere;

    /// <summary>The name under which the store knows that the newest stream is here.</summary>
    private string? _listensAs;

    /// <summary>Whether what was here when the stream went elsewhere is on its way there.</summary>
    private bool _hasMoved;

    private Task _passing = Task.CompletedTask;
    private bool _isPassing;
    private bool _isTelling;
    private bool _isComing;
    private int _moves;

    /// <summary>Counts how often it became another replica, or this one, that has the stream. A record read before the last time says nothing.</summary>
    public int Moves => Volatile.Read(ref _moves);

    /// <summary>Whether something waits for a stream, and is nowhere else.</summary>
    public bool HasBacklog
    {
        get
        {
            lock (_gate)
            {
                return _backlogBytes > 0 || (session.IsLegacySse && _streams.Exists(s => s.IsUnseen));
            }
        }
    }

    /// <summary>Whether something waits for a stream, or for somebody who looks at one: he may do so at another replica.</summary>
    public bool HasUnseen
    {
        get
        {
            lock (_gate)
            {
                return _backlogBytes > 0 || _streams.Exists(s => s.IsUnseen);
            }
        }
    }

    /// <summary>The replica that has the session's newest stream, where that is not this one and lives.</summary>
    private string? HolderLocked => _elsewhere is { Replica: var replica } && services.Peers.IsAlive(replica) ? replica : null;

    /// <summary>From now on the newest stream is one of this process. To be called before it shows anything.</summary>
    public async Task ListenHereAsync(string streamId)
    {
        if (!services.Peers.IsShared)
        {
            return;
        }

        string? left;
        lock (_gate)
        {
            left = _elsewhere?.Replica;
            _elsewhere = null;
            _moves++;
            _isTelling = true;
            _isComing = true;
            _hasNobodySince = null;
        }

        if (left is not null)
        {
            services.Peers.Suspect(left);
        }

        var name = services.Peers.Name;
        string? told = null;
        try
        {
            await services.Store.SetListenerAsync(session.Id, new SessionListener(name, streamId));
            services.Peers.SignalAll(SessionTable.ChangedSignal, session.Id);
            told = name;
        }
        catch (StoreException e)
        {
            Log.ListenerNotKept(services.Logger, e.Message);
        }
        finally
        {
            lock (_gate)
            {
                _isTelling = false;
                _isComing = false;
                // Once more: what was asked meanwhile may have been answered from before.
                _moves++;
                _listensAs = _elsewhere is null ? told : null;
            }
        }
    }

    /// <summary>
    /// Takes what the record says about where the newest stream is. Where that is news, what waits here goes there, and so does what streams here
    /// did not show any more.
    /// </summary>
    public void HeldBy(SessionListener? listener)
    {
        if (listener is not { } there)
        {
            return;
        }

        lock (_gate)
        {
            if (_isComing)
            {
                // The record is being changed just now; what was read of it is older or newer, nobody knows.
                session.Doubt();
                return;
            }

            if (there.Replica == services.Peers.Name)
            {
                if (_elsewhere is not null)
                {
                    _elsewhere = null;
                    _moves++;
                    FlushLocked();
                }

                return;
            }

            if (_elsewhere != listener)
            {
                _elsewhere = listener;
                _hasMoved = false;
                _moves++;
            }

            _listensAs = null;
            MoveLocked();
        }
    }

    /// <summary>Makes good what lost signals and a failing store left undone. Part of the heartbeat, once a second.</summary>
    public void Look()
    {
        EventStream? untold = null;
        string? asked;
        lock (_gate)
        {
            MoveLocked();
            asked = ToAskLocked();
            if (HolderLocked is null && !_isTelling && _listensAs != services.Peers.Name)
            {
                untold = _streams.FindLast(s => s.IsAttached);
                _isTelling = untold is not null;
            }
        }

        if (untold is not null)
        {
            TellAgainAsync(untold.Id).Unawaited(services.Logger);
        }

        if (asked is not null)
        {
            services.Peers.Signal(asked, AnybodySignal, $"{session.Id} {services.Peers.Name}");
        }
    }

    /// <summary>Sends what waits to the replica that has the stream, one after the other. What cannot be sent waits for the next look.</summary>
    private async Task PassOnAsync()
    {
        // Never under the caller's lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        while (true)
        {
            string holder;
            Waiting next;
            lock (_gate)
            {
                if (HolderLocked is not { } there || _backlog.First is not { } first)
                {
                    _isPassing = false;
                    FlushLocked();
                    return;
                }

                // Known by one name however often it is posted: the store may have taken it and only its answer be lost.
                (holder, next) = (there, first.Value with { Name = first.Value.Name ?? Peers.NameTo(there) });
                _backlog.RemoveFirst();
            }

            var isTaken = false;
            try
            {
                isTaken = await services.Peers.PostAsync(holder, SayLetter, new Letter(session.Id, SubjectOf(next), next.Line), NameOfHop(next));
            }
            finally
            {
                lock (_gate)
                {
                    if (isTaken)
                    {
                        _backlogBytes -= next.Line.Length;
                        _known?.Went(next.Name, next.Hops, next.Origin);
                        next.Passed?.IsKept();
                    }
                    else
                    {
                        _backlog.AddFirst(next with { IsUnsure = true });
                        _isPassing = false;
                    }
                }
            }

            if (!isTaken)
            {
                return;
            }
        }
    }

    /// <summary>Each time it is passed on it is another letter, or a mailbox that had it once would not take it again; tried again it is the same.</summary>
    private static string NameOfHop(Waiting waiting) => waiting.Hops == 0 ? waiting.Name! : string.Create(CultureInfo.InvariantCulture, $"{waiting.Name}{HopMark}{waiting.Hops}");

    private static string SubjectOf(Waiting waiting) => string.Create(
        CultureInfo.InvariantCulture,
        $"{waiting.Hops + 1}{(waiting.Origin is { } o ? $" {Join(o.Server, o.UpstreamSessionId, o.EventId, o.After ?? "", o.Hearer ?? "")}" : waiting.Changed is { } server ? $" {Join(server)}" : "")}");

    private static (int Hops, EventOrigin? Origin, string? Changed) ParseSubject(string subject)
    {
        var parts = subject.Split(' ').Select(Uri.UnescapeDataString).ToArray();
        var hops = int.Parse(parts[0], CultureInfo.InvariantCulture);
        return parts is [_, var server, var session, var id, var after, var hearer]
            ? (hops, new EventOrigin(server, session, id, after, hearer), server)
            : (hops, null, parts is [_, var changed] ? changed : null);
    }

    private static string Join(params IEnumerable<string> words) => string.Join(' ', words.Select(Uri.EscapeDataString));

    /// <summary>The name is another one, or the store did not take what it was told: unless the stream is elsewhere meanwhile, it is told again.</summary>
    /// <param name="streamId">The newest here.</param>
    /// <param name="instead">A replica that does not count, since nobody looks at a stream there.</param>
    private async Task TellAgainAsync(string streamId, string? instead = null)
    {
        try
        {
            var moves = Moves;
            var record = await services.Store.FindSessionAsync(session.Id, CancellationToken.None);
            var others = await services.Replicas.FindReplicasAsync(CancellationToken.None);
            if (moves != Moves)
            {
                return;
            }

            // The store's word: a replica that has just begun is not known here yet.
            if (record?.Listener is { } listener && listener.Replica != services.Peers.Name && listener.Replica != instead && others.Any(r => r.Id == listener.Replica && !r.IsExpired))
            {
                HeldBy(listener);
            }
            else
            {
                await ListenHereAsync(streamId);
            }
        }
        catch (StoreException)
        {
            // With the next look.
        }
        finally
        {
            lock (_gate)
            {
                _isTelling = false;
            }
        }
    }

    /// <summary>What is here goes where the newest stream is now, as soon as that replica is known to live.</summary>
    private void MoveLocked()
    {
        FlushLocked();
        if (_hasMoved || HolderLocked is not { } holder)
        {
            return;
        }

        _hasMoved = true;
        var same = _streams.Find(s => s.Id == _elsewhere!.Value.Stream);
        List<EventStream> silent = [.. _streams.Where(s => !s.IsAttached && (s.IsResumable || session.IsLegacySse) && !ReferenceEquals(s, same))];
        _streams.RemoveAll(s => ReferenceEquals(s, same) || silent.Contains(s));
        if (same is not null || silent.Count > 0)
        {
            MoveAwayAsync(holder, same, silent).Unawaited(services.Logger);
        }
    }

    /// <summary>The newest stream is at another replica now, be it one of ours or another.</summary>
    private async Task MoveAwayAsync(string replica, EventStream? same, List<EventStream> silent)
    {
        if (same is not null)
        {
            // What is still written here, now or when the store is back, is in the log; the other replica has to look.
            Follow(replica, same.Id);
            same.Connection?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
            await same.SettleAsync();
            services.Peers.Signal(replica, WroteSignal, $"{session.Id} {same.Id}");
        }

        foreach (var stream in silent)
        {
            await MoveAwayAsync(stream);
        }
    }

    /// <summary>As <see cref="MoveAsync"/>, to a stream at another replica.</summary>
    private async Task MoveAwayAsync(EventStream from)
    {
        if (session.IsLegacySse)
        {
            // Its client may come back to it at any moment: it is taken from, and stays what it is.
            foreach (var (line, passed) in await from.TakeWaitingAsync())
            {
                PassOn(line, passed);
            }

            return;
        }

        await from.SettleAsync();
        try
        {
            await foreach (var record in session.Log.ReadToEndAsync(from.Id, from.Shown))
            {
                if (!record.Body.IsEmpty)
                {
                    PassOn(record.Body.ToArray());
                }
            }
        }
        catch (StoreException)
        {
            services.Streams.Dropped("store");
        }

        from.Finish(StreamState.Finished);
    }

    /// <summary>Bounded by what a log, or a stream without one, may hold.</summary>
    private void PassOn(byte[] line, PassedMessage? passed = null)
    {
        lock (_gate)
        {
            _backlog.AddLast(new Waiting(line, passed?.Hops ?? 0, Origin: null, Name: passed?.Name, Passed: passed));
            _backlogBytes += line.Length;
            FlushLocked();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(503, LogLevel.Warning, "Where a session is listened to was not kept in the store: {Reason}", EventName = "ListenerNotKept")]
        public static partial void ListenerNotKept(ILogger logger, string reason);
    }
}
