using Mooring.Configuration;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>An answer of which it is not known yet whether it is one JSON body or an event stream.</summary>
internal interface IUndecided
{
    // The grace queue's own fields; see there.
    IUndecided? Previous { get; set; }

    IUndecided? Next { get; set; }

    long Due { get; set; }

    bool IsQueued { get; set; }

    /// <summary>The grace is over and nothing is known: the client gets its first byte now.</summary>
    void OnGraceOver();
}

/// <summary>
/// Undecided answers, oldest first. The grace is the same for all, so the first in line is always the first that is due; one that is
/// decided in time takes itself out, and no timer is made for any of them.
/// </summary>
internal sealed class GraceQueue(TimeProvider time, ConfigStore config) : IHeartbeatHandler
{
    private readonly Lock _gate = new();
    private readonly List<IUndecided> _due = [];
    private IUndecided? _first;
    private IUndecided? _last;

    public void Add(IUndecided reply)
    {
        reply.Due = time.GetTimestamp() + (long)(config.Current.Calls.Grace.TotalSeconds * time.TimestampFrequency);
        lock (_gate)
        {
            reply.Previous = _last;
            if (_last is null)
            {
                _first = reply;
            }
            else
            {
                _last.Next = reply;
            }

            _last = reply;
            reply.IsQueued = true;
        }
    }

    public void Remove(IUndecided reply)
    {
        lock (_gate)
        {
            RemoveLocked(reply);
        }
    }

    public void OnHeartbeat(long now)
    {
        lock (_gate)
        {
            while (_first is { } first && first.Due <= now)
            {
                RemoveLocked(first);
                _due.Add(first);
            }
        }

        HeartbeatItems.Each(_due, static reply => reply.OnGraceOver());
    }

    private void RemoveLocked(IUndecided reply)
    {
        if (!reply.IsQueued)
        {
            return;
        }

        reply.IsQueued = false;
        if (reply.Previous is null)
        {
            _first = reply.Next;
        }
        else
        {
            reply.Previous.Next = reply.Next;
        }

        if (reply.Next is null)
        {
            _last = reply.Previous;
        }
        else
        {
            reply.Next.Previous = reply.Previous;
        }

        reply.Previous = null;
        reply.Next = null;
    }
}
