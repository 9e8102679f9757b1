using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;

namespace Mooring.Sessions;

/// <summary>
/// When the gateway itself opens a link again that was lost, or could not be opened: at once where the last one held for a while, else after pauses
/// that double up to half a minute. A call opens it whenever it needs it. Not for use by several threads at once.
/// </summary>
internal sealed class Reopening(TimeProvider time)
{
    private readonly RestartBackoff _backoff = new(time, Random.Shared);
    private long _notBefore = long.MinValue;
    private long? _openedAt;
    private bool _wasLost;

    /// <summary>Whether the pause is over.</summary>
    public bool IsDue => time.GetTimestamp() >= _notBefore;

    /// <summary>Tells how an opening went.</summary>
    public void Tried(Link? link)
    {
        if (link is { IsUsable: true })
        {
            _openedAt = time.GetTimestamp();
            _backoff.Started();
        }
        else
        {
            Pause();
        }
    }

    /// <summary>Tells that there is no link any more.</summary>
    /// <returns>Whether another one may be opened at once: this is the first that is lost, or it held.</returns>
    public bool Lost()
    {
        var held = !_wasLost || (_openedAt is { } opened && time.GetElapsedTime(opened) >= RestartBackoff.HealthyAfter);
        _wasLost = true;
        Pause();
        return held;
    }

    private void Pause() => _notBefore = time.GetTimestamp() + (long)(_backoff.Next().TotalSeconds * time.TimestampFrequency);
}
