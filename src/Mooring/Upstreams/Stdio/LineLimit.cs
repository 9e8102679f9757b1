namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Lets a number of lines through per window and counts the rest, so that a server that writes without end cannot flood the
/// log. Used by one reader and one timer at once, hence the lock.
/// </summary>
internal sealed class LineLimit(TimeProvider time)
{
    /// <summary>Enough for a stack trace or a start banner in full.</summary>
    internal const int LinesPerWindow = 200;

    internal static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private long _windowStart = time.GetTimestamp();
    private int _let;
    private long _leftOut;

    /// <summary>Whether a line may pass now. <paramref name="leftOut"/>: lines of the window before that did not, to be told first; else 0.</summary>
    public bool TryPass(out long leftOut)
    {
        lock (_lock)
        {
            leftOut = 0;
            if (time.GetElapsedTime(_windowStart) >= Window)
            {
                leftOut = TakeLeftOutLocked();
                _windowStart = time.GetTimestamp();
                _let = 0;
            }

            if (_let < LinesPerWindow)
            {
                _let++;
                return true;
            }

            _leftOut++;
            return false;
        }
    }

    /// <summary>Takes what is still to be told; for the end of the stream, and for a server that went quiet after a flood.</summary>
    public long TakeLeftOut()
    {
        lock (_lock)
        {
            return TakeLeftOutLocked();
        }
    }

    private long TakeLeftOutLocked()
    {
        var count = _leftOut;
        _leftOut = 0;
        return count;
    }
}
