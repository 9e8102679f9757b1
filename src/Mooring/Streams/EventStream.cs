using Mooring.Stores;

namespace Mooring.Streams;

/// <summary>
/// One logical stream of a session: what was or is to be sent, whether or not a connection shows it just now. Made by the session;
/// connections come and go. All work on it (opening, appending, attaching, ending) runs one after the other on its pump, so that a
/// replay and what happens meanwhile cannot overtake each other.
/// </summary>
/// <remarks>
/// Resumable: each event is committed to the log before its id is written (invariant 17). Not resumable (2024-11-05, or the store failed):
/// events go straight out, and wait in a bounded backlog while nobody listens.
/// </remarks>
internal sealed partial class EventStream
{

    private readonly Lock _gate = new();
    private readonly StepRoom _room = new();
    private readonly EventLog _log;
    private readonly StreamsMetrics _metrics;
    private readonly long _backlogLimit;
    private Queue<Step>? _steps;
    private Queue<WaitingLine>? _backlog;
    private long _backlogBytes;
    private long _sequence;
    private long _shown;
    private bool _pumping;
    private bool _resumable;
    private volatile SseConnection? _connection;
    private volatile bool _finished;

    /// <summary>As <see cref="IsFinished"/>, but once the last step was done: what is still on its way must not be cut off. The pump's alone.</summary>
    private bool _over;

    public EventStream(string id, StreamKind kind, EventLog log, StreamsMetrics metrics, bool resumable, long backlogLimit, long sequence = 0)
    {
        Id = id;
        Kind = kind;
        _log = log;
        _metrics = metrics;
        _resumable = resumable;
        _backlogLimit = backlogLimit;
        _sequence = sequence;
        _shown = sequence;
    }

    public string Id { get; }

    public StreamKind Kind { get; }

    /// <summary>Whether another replica writes it, since it runs the call; this one only looks on.</summary>
    public bool IsTheirs { get; init; }

    /// <summary>Its last message was appended, or it was cancelled; the store knows all of it, or will know as soon as it settles.</summary>
    public bool IsFinished => _finished && !_isLate;

    public bool IsAttached => _connection is { IsOpen: true };

    public SseConnection? Connection => _connection;

    /// <summary>Whether events get an id that a client can come back with.</summary>
    public bool IsResumable => _resumable;

    /// <summary>Highest sequence that was written to a connection.</summary>
    public long Shown => Volatile.Read(ref _shown);

    /// <summary>Sequence of the last event.</summary>
    public long Last => Volatile.Read(ref _sequence);

    /// <summary>Whether there is something on it that nobody was shown, and nobody looks at it just now.</summary>
    public bool IsUnseen => !IsAttached && (Volatile.Read(ref _backlogBytes) > 0 || Volatile.Read(ref _sequence) > Shown);

    /// <summary>Whether an event id was written to a connection: only then can a client come back for the rest.</summary>
    public bool WasGivenId => Shown > 0;

    /// <summary>Writes the stream's row, with a primer where the version knows one, and then lets <paramref name="opened"/> show the first bytes.</summary>
    public void Open(StreamRecord record, bool primer, Action<string?> opened) => Enqueue(new OpenStep(record, primer, opened));

    /// <summary>Appends one message that stands on one line.</summary>
    /// <param name="line">The JSON-RPC message.</param>
    /// <param name="requestId">The client request it answers, if it is a response.</param>
    /// <param name="finishes">Whether nothing follows it; the connection then ends.</param>
    /// <param name="origin">The server's event it was made of.</param>
    /// <param name="isOld">
    /// Whether it waited for this stream, with others: they go at its reader's pace, since as much may wait for a reader as one may leave untaken.
    /// </param>
    /// <param name="passed">Where another replica passed it on.</param>
    /// <param name="place">Where it stood in the answer of the call's server.</param>
    public void Append(
        byte[] line, string? requestId = null, bool finishes = false, EventOrigin? origin = null, bool isOld = false, PassedMessage? passed = null, CallCursor? place = null)
    {
        if (finishes)
        {
            _finished = true;
        }

        Enqueue(new MessageStep(line, requestId, finishes, origin, isOld, passed, place));
    }

    /// <inheritdoc cref="StepRoom.IsFree"/>
    public bool IsReady => _room.IsFree;

    /// <inheritdoc cref="StepRoom.FreeAsync"/>
    public Task ReadyAsync() => _room.FreeAsync();

    /// <summary>Shows a message that is not part of the log.</summary>
    public void ShowOnly(byte[] line) => Enqueue(new ShowStep(line));

    /// <summary>Ends the stream without a further message.</summary>
    public void Finish(StreamState state)
    {
        _finished = true;
        Enqueue(new FinishStep(state));
    }

    /// <summary>Shows the stream on a connection: first what came after <paramref name="after"/> (null: only what is new), then live.</summary>
    public void Attach(SseConnection connection, long? after) => Enqueue(new AttachStep(connection, after));

    /// <summary>Shows what another replica has appended meanwhile; a stream that is theirs ends here when it has ended there.</summary>
    public void CatchUp() => Enqueue(new CatchUpStep());

    /// <summary>Completes when every step before it has been done.</summary>
    public Task SettleAsync()
    {
        var step = new SettleStep();
        Enqueue(step);
        return step.Done.Task;
    }

    /// <summary>Takes what waits for a listener off a stream without a log, once every step before has been done: it goes another way.</summary>
    public Task<IReadOnlyList<WaitingLine>> TakeWaitingAsync()
    {
        var step = new TakeWaitingStep();
        Enqueue(step);
        return step.Taken.Task;
    }

    public void Detach(SseConnection connection)
    {
        lock (_gate)
        {
            if (ReferenceEquals(_connection, connection))
            {
                _connection = null;
            }
        }
    }

    private void Enqueue(Step step)
    {
        lock (_gate)
        {
            (_steps ??= new Queue<Step>(1)).Enqueue(step);
            _room.Take(step.Bytes);
            if (_pumping)
            {
                return;
            }

            _pumping = true;
        }

        _ = PumpAsync();
    }

    private async Task PumpAsync()
    {
        while (true)
        {
            Step? step;
            lock (_gate)
            {
                if (_steps is null || !_steps.TryDequeue(out step))
                {
                    // Ten thousand idle streams keep no queue.
                    _steps = null;
                    _pumping = false;
                    return;
                }
            }

            try
            {
                await DoAsync(step);
            }
            catch (Exception e)
            {
                // A bug of ours in one step must not leave the stream deaf; what it lost is in the log, or was never there.
                _log.StepFailed(e, Id);
                _connection?.Abort(StreamReason.Error, ClosedBy.Gateway);
            }

            if (step is MessageStep { IsLate: false, Waits: false, Passed: { } passed })
            {
                passed.IsKept();
            }

            _room.GiveBack(step.Bytes);
        }
    }

    private async ValueTask DoAsync(Step step)
    {
        switch (step)
        {
            case OpenStep open:
                await OpenAsync(open);
                break;
            case MessageStep message:
                await AppendAsync(message);
                break;
            case AttachStep attach:
                await AttachAsync(attach);
                break;
            case FinishStep finish:
                await FinishAsync(finish);
                break;
            case ShowStep show:
                _connection?.WriteMessage(id: null, show.Line);
                break;
            case CatchUpStep:
                await CatchUpAsync();
                break;
            case TakeWaitingStep taking:
                taking.Taken.TrySetResult([.. _backlog ?? []]);
                (_backlog, _backlogBytes) = (null, 0);
                break;
            case KeepStep:
                await KeepAsync();
                break;
            case ReachStep reach:
                (_place, _isPlaceKept) = (reach.Place, false);
                break;
            case KeepPlaceStep:
                await KeepPlaceAsync();
                break;
            case SettleStep settle:
                try
                {
                    await KeepLateAsync();
                }
                finally
                {
                    settle.Done.TrySetResult();
                }

                break;
        }
    }

    private async Task OpenAsync(OpenStep step)
    {
        if (!_resumable)
        {
            step.Opened(null);
            return;
        }

        var primer = step.Primer ? _log.Record(Id, 1, ReadOnlyMemory<byte>.Empty, requestId: null) : null;
        _resumable = await _log.OpenAsync(step.Record, primer);
        (_place, _isPlaceKept) = (step.Record.Cursor, _resumable && step.Record.Cursor is not null);
        if (_resumable && primer is not null)
        {
            _sequence = 1;
            _shown = 1;
            step.Opened(new EventId(Id, 1).ToString());
            return;
        }

        _unopened = _resumable ? null : step.Record;
        step.Opened(null);
    }

    private async Task AppendAsync(MessageStep step)
    {
        // First what the store did not take before; while it does not, there is no use in asking it for this one.
        var id = await KeepLateAsync() && _resumable ? await CommitAsync(step) : null;
        if (step.WasRefused)
        {
            return;
        }

        if (step.IsMoot)
        {
            if (step.Finishes)
            {
                await FinishAsync(new FinishStep(StreamState.Finished));
            }

            return;
        }

        // What another replica may hear as well is shown by whoever has it in the log.
        var isShown = (id is not null || !MustBeKept(step)) && _connection is { } connection && connection.WriteMessage(id, step.Line);
        if (isShown && (id is not null || WasGivenId))
        {
            _shown = _sequence;
        }

        if (id is null && (_resumable || MustBeKept(step)))
        {
            NotKept(step, isShown);
        }
        else if (!_resumable && !isShown)
        {
            step.Waits = Keep(new WaitingLine(step.Line, step.Passed));
        }

        if (isShown && step.IsOld)
        {
            await TakenAsync();
        }

        if (step.Finishes)
        {
            _over = true;
            _connection?.Complete(StreamReason.Answered, ClosedBy.Gateway);
        }
    }

    private async Task AttachAsync(AttachStep step)
    {
        var connection = step.Connection;
        await KeepLateAsync();
        if (_resumable && step.After is { } after && after < _sequence && !await ReplayAsync(connection, after))
        {
            connection.Abort(StreamReason.Error, ClosedBy.Gateway);
            return;
        }

        while (_backlog is not null && _backlog.TryPeek(out var waiting))
        {
            if (!connection.WriteMessage(id: null, waiting.Line))
            {
                // Whoever came is gone again; the rest is for the next one.
                return;
            }

            _backlog.Dequeue();
            _backlogBytes -= waiting.Line.Length;
            waiting.Passed?.IsKept();
            await connection.TakenAsync();
        }

        _backlog = null;
        await ShowLateAsync(connection);
        StreamReason? ended;
        lock (_gate)
        {
            _connection = connection;
            ended = _ended;
        }

        if (ended is { } reason)
        {
            connection.Complete(reason, ClosedBy.Gateway);
        }
        else if (_over)
        {
            connection.Complete(StreamReason.Answered, ClosedBy.Gateway);
        }
    }

    private Task TakenAsync() => _connection?.TakenAsync() ?? Task.CompletedTask;

    private async Task FinishAsync(FinishStep step)
    {
        if ((_resumable || _unopened is not null) && (!await KeepLateAsync() || !await _log.CloseAsync(Id, step.State)))
        {
            _unclosed = step.State;
            LookLater();
        }

        _over = true;
        _connection?.Complete(StreamReason.Answered, ClosedBy.Gateway);
    }
}
