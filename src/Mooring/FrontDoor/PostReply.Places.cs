using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <content>
/// From where another process could go on with the call. It goes into the stream's row with the row itself, where it is known by then, and with each event;
/// a call on record whose server has said where its answer begins, and nothing else, costs a write of its own, once it has taken a while.
/// </content>
internal sealed partial class PostReply
{
    /// <summary>What is answered by then pays nothing.</summary>
    private static readonly TimeSpan KeepPlaceAfter = TimeSpan.FromMilliseconds(500);

    /// <summary>Until there is a stream.</summary>
    private CallCursor? _place;

    /// <summary>When it is to be kept, a timestamp; 0: it never was to be; -1: it was, and again only when there is reason to.</summary>
    private long _placeDue;

    public override void Reached(CallCursor place)
    {
        if (_open is not null)
        {
            // Of several calls nobody could tell which has answered.
            return;
        }

        EventStream? stream;
        lock (_gate)
        {
            stream = _stream;
            if (stream is null)
            {
                (_place, _placeDue) = (place, -1);
                return;
            }
        }

        stream.Reach(place);
        Volatile.Write(ref _placeDue, KeepAt());
    }

    public override void Look(long now)
    {
        if (Volatile.Read(ref _placeDue) is var due and > 0 && now >= due && Interlocked.CompareExchange(ref _placeDue, -1, due) == due)
        {
            _stream?.KeepPlace();
        }
    }

    /// <summary>The log knows of this one by itself, but not whose place it is.</summary>
    private void Passed(CallCursor? place)
    {
        if (place is not null && Volatile.Read(ref _placeDue) == 0)
        {
            Interlocked.CompareExchange(ref _placeDue, KeepAt(), 0);
        }
    }

    private long KeepAt() => _services.Time.GetTimestamp() + (long)(KeepPlaceAfter.TotalSeconds * _services.Time.TimestampFrequency);
}
