namespace Mooring.Streams;

/// <content>Comments that keep the stream alive, counted by what became of them.</content>
internal sealed partial class SseConnection
{
    private const long NoComment = -1;

    /// <summary>How late the comment is that is on its way.</summary>
    private long _comment = NoComment;

    /// <summary>What was written before is sent, or cannot be. Counts a comment, where that is what it was.</summary>
    private void CommentLeft(bool wasTaken)
    {
        // Without an exchange where there is none, which is nearly always.
        var late = Volatile.Read(ref _comment) == NoComment ? NoComment : Interlocked.Exchange(ref _comment, NoComment);
        if (late == NoComment)
        {
            return;
        }

        if (wasTaken)
        {
            _table.KeptAlive(this, late);
        }
        else
        {
            _table.KeepAliveFailed(this);
        }
    }
}
