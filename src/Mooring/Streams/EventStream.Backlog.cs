namespace Mooring.Streams;

/// <content>What waits for a listener on a stream without a log.</content>
internal sealed partial class EventStream
{
    /// <returns>Whether there is room for it.</returns>
    private bool Keep(WaitingLine waiting)
    {
        // One that is larger than all the room there is fits where nothing else waits, or it would fit nowhere.
        if (_backlogBytes > 0 && _backlogBytes + waiting.Line.Length > _backlogLimit && !HasRoomForAnswer(waiting))
        {
            _metrics.Dropped("backlog_full");
            return false;
        }

        (_backlog ??= new Queue<WaitingLine>()).Enqueue(waiting);
        _backlogBytes += waiting.Line.Length;
        return true;
    }

    private bool HasRoomForAnswer(WaitingLine waiting) =>
        waiting.Passed is { IsAnswer: true } && _backlogBytes < _log.MostAnswerBytes && _backlog!.Count(one => one.Passed is { IsAnswer: true }) < _log.MostAnswers;
}

/// <summary>What waits for a listener on a stream without a log.</summary>
/// <param name="Line">One message.</param>
/// <param name="Passed">Where it may not be lost with this process: told once it is.</param>
internal readonly record struct WaitingLine(byte[] Line, PassedMessage? Passed);
