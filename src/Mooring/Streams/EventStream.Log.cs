using Mooring.Stores;

namespace Mooring.Streams;

/// <content>A stream and its log: writing to it, reading from it, and what another replica wrote there.</content>
internal sealed partial class EventStream
{
    /// <summary>How many of the last events are looked through for a letter that may have been read before.</summary>
    private const int LettersLookedFor = 1000;

    /// <summary>
    /// Requests that another replica answered here, and letters and events of the call's server that it put here: it took this one for dead while it was only slow,
    /// or was dead when the letter moved. Each gets one answer, and stands here once, the first in the log.
    /// </summary>
    private HashSet<string>? _putByOthers;

    /// <param name="step">The message.</param>
    /// <param name="again">Whether the store was asked before; then its failure is known already.</param>
    /// <returns>The event's id; null when the store did not take it, or refused it. Of an answer that came too late, the id of the last event there is.</returns>
    private async ValueTask<string?> CommitAsync(MessageStep step, bool again = false)
    {
        if (step.Passed is { MayBeThere: true } passed)
        {
            if (await IsThereAsync(passed.Key) is not { } isThere)
            {
                return null;
            }

            passed.MayBeThere = false;
            step.IsMoot = isThere;
        }

        while (true)
        {
            if (step.Tried > 0 && step.Tried <= _sequence)
            {
                // What was written meanwhile was read before this was asked for again.
                switch (await HasAsync(_log.Record(Id, step.Tried, step.Line, step.Key, step.Origin)))
                {
                    case null:
                        return null;
                    case true:
                        step.IsMoot = true;
                        return ReachedBy(step);
                }
            }

            if (step.IsMoot || (step.Key is { } key && _putByOthers?.Contains(key) == true))
            {
                step.IsMoot = true;
                if (step.RequestId is not null)
                {
                    _log.CameTooLate(Id);
                }

                return ReachedBy(step);
            }

            var record = _log.Record(Id, _sequence + 1, step.Line, step.Key, step.Origin);
            var wasTried = step.Tried == record.Sequence;
            step.Tried = record.Sequence;
            try
            {
                switch (await _log.AppendAsync(record, step.Finishes ? StreamState.Finished : null, again))
                {
                    case Appended.Refused:
                        step.WasRefused = true;
                        return null;
                    case Appended.Failed:
                        return null;
                }
            }
            catch (InvalidOperationException)
            {
                switch (wasTried ? await HasAsync(record) : false)
                {
                    case true:
                        // The try before was committed, and only its answer was lost.
                        break;
                    case null:
                        return null;
                    default:
                        // The replica that had this stream before wrote one more when it moved here. What it wrote comes first.
                        switch (await CatchUpAsync())
                        {
                            case null:
                                return null;
                            case false:
                                throw;
                        }

                        // The number is another's.
                        step.Tried = 0;
                        continue;
                }
            }

            _sequence++;
            return ReachedBy(step);
        }
    }

    /// <returns>The id of the last event.</returns>
    private string ReachedBy(MessageStep step)
    {
        _place = step.Place is { IsBehindQuestion: false } ? step.Place : _place;
        return new EventId(Id, _sequence).ToString();
    }

    /// <summary>Whether the letter's message is in the log already, from whoever had the letter before.</summary>
    /// <returns>Null when the store cannot be asked.</returns>
    private async ValueTask<bool?> IsThereAsync(string key)
    {
        try
        {
            // What is long past is not told again: letters are read within seconds.
            await foreach (var record in _log.ReadToEndAsync(Id, Math.Max(0, _sequence - LettersLookedFor)))
            {
                if (record.RequestId == key)
                {
                    return true;
                }
            }

            return false;
        }
        catch (StoreException)
        {
            return null;
        }
    }

    /// <returns>Whether the log has exactly this event; null when the store cannot be asked.</returns>
    private async ValueTask<bool?> HasAsync(EventRecord record)
    {
        try
        {
            return await _log.ReadAsync(Id, record.Sequence - 1, limit: 1, CancellationToken.None) is [var found]
                && found.Sequence == record.Sequence && found.Body.Span.SequenceEqual(record.Body.Span);
        }
        catch (StoreException)
        {
            return null;
        }
    }

    /// <returns>Whether there was anything; null when the store cannot be asked.</returns>
    private async ValueTask<bool?> CatchUpAsync()
    {
        var before = _sequence;
        try
        {
            // Asked first: what is committed before the end of the stream is then surely read below.
            var record = IsTheirs ? await _log.FindAsync(Id, CancellationToken.None) : null;
            await foreach (var missed in _log.ReadToEndAsync(Id, _sequence))
            {
                Note(missed);
                _sequence = missed.Sequence;
                if (_connection is { } connection && !missed.Body.IsEmpty && connection.WriteMessage(new EventId(Id, _sequence).ToString(), missed.Body.Span))
                {
                    _shown = _sequence;
                    await connection.TakenAsync();
                }
            }

            if (IsTheirs && record is not { State: StreamState.Running })
            {
                _finished = true;
                _over = true;
                _connection?.Complete(StreamReason.Answered, ClosedBy.Gateway);
            }
        }
        catch (StoreException)
        {
            // Looked for again soon.
            return _sequence > before ? true : null;
        }

        return _sequence > before;
    }

    /// <summary>Before its sequence counts as known.</summary>
    private void Note(EventRecord record)
    {
        if (record.Sequence > _sequence && record.RequestId is { } key)
        {
            (_putByOthers ??= new(StringComparer.Ordinal)).Add(key);
        }
    }

    private async Task<bool> ReplayAsync(SseConnection connection, long after)
    {
        try
        {
            await foreach (var record in _log.ReadToEndAsync(Id, after))
            {
                Note(record);
                // Of another replica's stream the log may be ahead of what was known here.
                _sequence = Math.Max(_sequence, record.Sequence);
                if (!record.Body.IsEmpty && connection.WriteMessage(new EventId(Id, record.Sequence).ToString(), record.Body.Span))
                {
                    _metrics.Replayed(connection.Transport, 1);
                    _shown = Math.Max(_shown, record.Sequence);
                    await connection.TakenAsync();
                }
            }

            return true;
        }
        catch (StoreException)
        {
            // The client comes back with the same id; what it missed is still in the log.
            return false;
        }
    }
}
