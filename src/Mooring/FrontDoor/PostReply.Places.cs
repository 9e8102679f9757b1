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

    private const int NeverKept = 0;
    private const int IsToBeKept = 1;

    /// <summary>And again only when there is reason to.</summary>
    private const int IsKept = 2;

    /// <summary>Until there is a stream.</summary>
    private CallCursor? _place;

    /// <summary>When it is to be kept, a timestamp; counts only while <see cref="_placeState"/> says so.</summary>
    private long _placeDue;
    private int _placeState = NeverKept;

    /// <summary>Of the place that was kept last, or is about to be.</summary>
    private int _keptRenewals;

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
                (_place, _placeState, _keptRenewals) = (place, IsKept, place.Renewals);
                return;
            }
        }

        Volatile.Write(ref _keptRenewals, place.Renewals);
        stream.Reach(place);
        KeepSoon();
    }

    public override void Look(long now)
    {
        if (Volatile.Read(ref _placeState) == IsToBeKept && now >= Volatile.Read(ref _placeDue) && Interlocked.CompareExchange(ref _placeState, IsKept, IsToBeKept) == IsToBeKept)
        {
            _stream?.KeepPlace();
        }
    }

    /// <summary>The log knows of this one by itself, but not whose place it is, nor in which session with the server.</summary>
    private void Passed(CallCursor? place)
    {
        if (place is { IsBehindQuestion: false } && (Volatile.Read(ref _placeState) == NeverKept || place.Renewals != Volatile.Read(ref _keptRenewals)))
        {
            Volatile.Write(ref _keptRenewals, place.Renewals);
            KeepSoon();
        }
    }

    private void KeepSoon()
    {
        Volatile.Write(ref _placeDue, _services.Time.GetTimestamp() + (long)(KeepPlaceAfter.TotalSeconds * _services.Time.TimestampFrequency));
        Volatile.Write(ref _placeState, IsToBeKept);
    }
}
