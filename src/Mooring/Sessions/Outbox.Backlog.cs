using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>What waits for a stream: nobody has one, or the one that there is is at another replica.</content>
internal sealed partial class Outbox
{
    /// <summary>Bytes that may wait for a client that has no stream open. One message may be larger where nothing else waits, or it would never get anywhere.</summary>
    private const long BacklogLimit = 256 * 1024;

    private readonly LinkedList<Waiting> _backlog = [];
    private long _backlogBytes;

    private bool KeepLocked(Waiting waiting)
    {
        if (_backlogBytes > 0 && _backlogBytes + waiting.Line.Length > BacklogLimit && !HasRoomForAnswerLocked(waiting))
        {
            if (waiting.Origin is { After: not null } origin && HolderLocked is not null)
            {
                // Somebody listens, and the store is too slow, or away: it stays with its server.
                session.Log.Unheard(origin);
            }
            else
            {
                services.Streams.Dropped("backlog_full");
            }

            waiting.Passed?.IsKept();
            return false;
        }

        _backlog.AddLast(waiting);
        _backlogBytes += waiting.Line.Length;
        return true;
    }

    /// <summary>Whether a client waits for it: such have room, as many as may be asked for at once and as many bytes as the largest message may have.</summary>
    private bool HasRoomForAnswerLocked(Waiting waiting) =>
        waiting.Passed is { IsAnswer: true } && _backlogBytes < session.Log.MostAnswerBytes && _backlog.Count(one => one.Passed is { IsAnswer: true }) < session.Log.MostAnswers;

    /// <summary>What waits goes on, where there is somewhere to go.</summary>
    private void FlushLocked()
    {
        if (_backlog.Count == 0)
        {
            return;
        }

        if (HolderLocked is not null)
        {
            if (!_isPassing)
            {
                _isPassing = true;
                _passing = PassOnAsync();
            }
        }
        else if (NewestLocked() is { } stream)
        {
            GiveBacklogLocked(stream);
        }
    }

    private void GiveBacklogLocked(EventStream stream)
    {
        foreach (var waiting in _backlog)
        {
            stream.Append(waiting.Line, origin: waiting.Origin, isOld: true, passed: IsHereLocked(waiting));
            _backlogBytes -= waiting.Line.Length;
        }

        _backlog.Clear();
    }

    /// <param name="Line">One message.</param>
    /// <param name="Hops">How many replicas have passed it on.</param>
    /// <param name="Origin">The server's event it was made of.</param>
    /// <param name="Changed">The server whose list it says is another one, where that may be heard in another way too.</param>
    /// <param name="Name">Of the letter it goes in, or came in; null before it was posted.</param>
    /// <param name="Passed">Where it came in one.</param>
    /// <param name="IsUnsure">Whether it was to be posted, and may have been although that failed.</param>
    private readonly record struct Waiting(
        byte[] Line, int Hops, EventOrigin? Origin, string? Changed = null, string? Name = null, PassedMessage? Passed = null, bool IsUnsure = false);
}
