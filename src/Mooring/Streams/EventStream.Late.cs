using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Streams;

/// <content>
/// What the store did not take while it was away. A client that shows a stream meanwhile is told at once, without an event id; what nobody was
/// there to be told, and every answer, is kept and committed when the store is back, so that whoever comes back for it finds it. What another replica
/// may have heard as well is shown to nobody before that, and has room of its own; what has none is left to its server, which is asked for it again.
/// </content>
internal sealed partial class EventStream
{
    private Queue<MessageStep>? _late;
    private long _lateBytes;
    private long _lateHeardBytes;

    /// <summary>The stream's row, where the store did not take it.</summary>
    private StreamRecord? _unopened;

    /// <summary>How it ended, where the store did not take that.</summary>
    private StreamState? _unclosed;
    private bool _willLook;
    private volatile bool _isLate;

    /// <summary>Whether it is told from the log alone, since another replica may hear it too. Where there is no log, nobody can go on from it.</summary>
    private bool MustBeKept(MessageStep step) => step.Origin is { After: not null } && (_resumable || _unopened is not null);

    /// <summary>The message just tried is not in the log, as far as is known.</summary>
    private void NotKept(MessageStep step, bool wasShown)
    {
        if (MustBeKept(step))
        {
            if (_lateHeardBytes + step.Line.Length > _backlogLimit)
            {
                _log.Unheard(step.Origin!);
                return;
            }

            _lateHeardBytes += step.Line.Length;
            KeepForLater(step);
            return;
        }

        if (wasShown && step.RequestId is null)
        {
            // Its number is used up: the store may have it all the same, and must not be asked to take another message under it.
            _sequence = Math.Max(_sequence, step.Tried);
            return;
        }

        if (step.RequestId is null && _lateBytes + step.Line.Length > _backlogLimit)
        {
            _metrics.Dropped("backlog_full");
            return;
        }

        step.WasShown = wasShown;
        _lateBytes += step.Line.Length;
        KeepForLater(step);
    }

    private void KeepForLater(MessageStep step)
    {
        step.IsLate = true;
        (_late ??= new Queue<MessageStep>()).Enqueue(step);
        LookLater();
    }

    /// <summary>Has the store take what it did not take before, in order.</summary>
    /// <returns>Whether nothing is left.</returns>
    private async ValueTask<bool> KeepLateAsync()
    {
        if (_unopened is { } record)
        {
            if (!await OpenLateAsync(record))
            {
                return false;
            }

            _unopened = null;
            _resumable = true;
        }

        while (_late is not null && _late.TryPeek(out var step))
        {
            var id = await CommitAsync(step, again: true);
            if (id is null && !step.WasRefused)
            {
                return false;
            }

            _late.Dequeue();
            step.Passed?.IsKept();
            if (MustBeKept(step))
            {
                _lateHeardBytes -= step.Line.Length;
            }
            else
            {
                _lateBytes -= step.Line.Length;
            }

            if (id is not null && !step.WasShown && !step.IsMoot && _connection is { } connection && connection.WriteMessage(id, step.Line))
            {
                _shown = _sequence;
                await connection.TakenAsync();
            }
        }

        if (_unclosed is { } state && !await _log.CloseAsync(Id, state))
        {
            return false;
        }

        _late = null;
        _unclosed = null;
        _isLate = false;
        return true;
    }

    /// <returns>Whether the row is there.</returns>
    private async ValueTask<bool> OpenLateAsync(StreamRecord record)
    {
        try
        {
            return await _log.OpenAsync(record, primer: null, again: true);
        }
        catch (InvalidOperationException)
        {
            // The try before was committed, and only its answer was lost.
            _resumable = true;
            await CatchUpAsync();
            return true;
        }
    }

    /// <summary>A connection that comes while the store is away is shown what waits; the store still gets it.</summary>
    private async Task ShowLateAsync(SseConnection connection)
    {
        foreach (var step in _late?.Where(step => !MustBeKept(step)) ?? [])
        {
            step.WasShown |= connection.WriteMessage(id: null, step.Line);
            await connection.TakenAsync();
        }
    }

    private void LookLater()
    {
        _isLate = true;
        if (!_willLook)
        {
            _willLook = true;
            LaterAsync().Unawaited(_log.Logger);
        }

        async Task LaterAsync()
        {
            await _log.PauseAsync();
            Enqueue(new KeepStep());
        }
    }

    private async ValueTask KeepAsync()
    {
        _willLook = false;
        try
        {
            if (!await KeepLateAsync())
            {
                LookLater();
            }
        }
        catch (ObjectDisposedException)
        {
            // The gateway stops with the store still away. Whoever comes back for an answer is told that its outcome is unknown.
        }
    }
}
