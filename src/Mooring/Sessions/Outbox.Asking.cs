using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <content>
/// The record may name a replica whose stream nobody looks at any more, while somebody looks at one here: the store did not take that this one is the newest, or took what was
/// said of an older one after it. So who has such a stream asks the other now and then, and has the record name this one where nobody is there.
/// </content>
internal sealed partial class Outbox
{
    /// <summary>Kind of signal: a session, and the replica that asks whether somebody looks at a stream of it here.</summary>
    public const string AnybodySignal = "anybody";

    /// <summary>Kind of signal: a session, and the replica that was asked and has nobody.</summary>
    public const string NobodySignal = "nobody";

    /// <summary>How often it is asked. A stream that only broke is mostly there again by the next time.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(5);

    /// <summary>Since when somebody looks at a stream here and the newest is elsewhere, or when that one was last asked.</summary>
    private long? _asked;

    /// <summary>Since when nobody looks at a stream here, as far as others asked; null: somebody did when they last asked, or came since.</summary>
    private long? _hasNobodySince;

    /// <summary>Another replica asks whether somebody looks at a stream here.</summary>
    /// <returns>
    /// False: nobody does, and nobody has for longer than it takes to find out that a client's machine is gone. So a client that sleeps keeps its stream here, and whoever asks has
    /// a client that was heard of since.
    /// </returns>
    public bool HasAnybody()
    {
        lock (_gate)
        {
            if (_isComing || _streams.Exists(s => s.IsAttached))
            {
                _hasNobodySince = null;
                return true;
            }

            var now = services.Time.GetTimestamp();
            return services.Time.GetElapsedTime(_hasNobodySince ??= now, now) <= services.Config.Current.Http.PeerTimeout;
        }
    }

    /// <summary>A replica that was asked has nobody: unless the stream is at yet another one by now, it is here.</summary>
    public void HasNobody(string replica)
    {
        EventStream? stream;
        lock (_gate)
        {
            stream = HolderLocked == replica && !_isTelling ? _streams.FindLast(s => s.IsAttached) : null;
            _isTelling |= stream is not null;
        }

        if (stream is not null)
        {
            TellAgainAsync(stream.Id, instead: replica).Unawaited(services.Logger);
        }
    }

    /// <returns>The replica that is to be asked now.</returns>
    private string? ToAskLocked()
    {
        if (HolderLocked is not { } holder || !_streams.Exists(s => s.IsAttached))
        {
            _asked = null;
            return null;
        }

        var now = services.Time.GetTimestamp();
        if (_asked is { } asked && services.Time.GetElapsedTime(asked, now) < AskEvery)
        {
            return null;
        }

        var isFirst = _asked is null;
        _asked = now;
        return isFirst ? null : holder;
    }
}
