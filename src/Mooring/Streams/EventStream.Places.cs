using Mooring.Stores;

namespace Mooring.Streams;

/// <content>
/// How far the server of the stream's call was heard, for whoever goes on with the call when this process is gone. Each event that was made of one of the
/// server's says so by itself; the row says it where there is none yet.
/// </content>
internal sealed partial class EventStream
{
    /// <summary>The pump's alone, as <see cref="_isPlaceKept"/>.</summary>
    private CallCursor? _place;

    /// <summary>Whether the row and the events after it lead there.</summary>
    private bool _isPlaceKept;

    /// <summary>Events that stood in the log before, where this process goes on with the call of another: what the server says again is not appended again.</summary>
    public IReadOnlySet<string> Known
    {
        init => _putByOthers = value.Count == 0 ? null : new HashSet<string>(value, StringComparer.Ordinal);
    }

    /// <summary>The server was heard up to there, and nothing of it is to be appended any more but what comes next.</summary>
    public void Reach(CallCursor place) => Enqueue(new ReachStep(place));

    /// <summary>Has the row say up to where the server was heard, unless it does, or the log.</summary>
    public void KeepPlace() => Enqueue(new KeepPlaceStep());

    private async ValueTask KeepPlaceAsync()
    {
        // What the store did not take yet stands before it.
        if (_isPlaceKept || _over || !_resumable || _isLate || _place is not { } place)
        {
            return;
        }

        _isPlaceKept = await _log.KeepAsync(Id, place with { After = _sequence });
    }

    private sealed class ReachStep(CallCursor place) : Step
    {
        public CallCursor Place => place;
    }

    private sealed class KeepPlaceStep : Step;
}
