using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>The one stream of an HTTP+SSE session (2024-11-05), which is in no log.</content>
internal sealed partial class Outbox
{
    private int _legacyTurn;

    /// <summary>The one stream of an HTTP+SSE session.</summary>
    public EventStream? Legacy
    {
        get
        {
            lock (_gate)
            {
                return _streams.Count > 0 ? _streams[^1] : null;
            }
        }
    }

    /// <summary>Whether what is said here can come to the stream: it is here, or the store, by which it goes to another replica, is there as far as is known.</summary>
    public bool ReachesStream => !services.Peers.IsShared || services.Store.AwaySince is null || HasStream;

    /// <summary>A client of HTTP+SSE has come for its stream; the next one that comes takes it from this one.</summary>
    public int NextLegacy() => Interlocked.Increment(ref _legacyTurn);

    /// <summary>The one stream of an HTTP+SSE session: the one that it has by now, else this one.</summary>
    /// <param name="stream">One that shows nothing yet.</param>
    /// <param name="turn">Of <see cref="NextLegacy"/>.</param>
    /// <returns>Null: somebody came after this one, and the stream is his.</returns>
    public EventStream? LegacyOr(EventStream stream, int turn)
    {
        lock (_gate)
        {
            if (turn != Volatile.Read(ref _legacyTurn))
            {
                return null;
            }

            if (EndsWithLocked(stream))
            {
                return stream;
            }

            if (_streams.Count == 0)
            {
                _streams.Add(stream);
                GiveBacklogLocked(stream);
            }

            return _streams[^1];
        }
    }
}
