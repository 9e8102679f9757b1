using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>Streams of calls that run at one replica while their client has come back to another: that one shows what is written here.</content>
internal sealed partial class Outbox
{
    /// <summary>Kind of letter: a replica wants to hear of each event of a stream. Its subject is the stream, its body the replica.</summary>
    public const string FollowLetter = "follow";

    /// <summary>Kind of signal: session and stream; another replica has written to it.</summary>
    public const string WroteSignal = "wrote";

    private Dictionary<string, string>? _followers;

    /// <summary>Another replica has written to one of our streams.</summary>
    public void Wrote(string streamId)
    {
        Find(streamId)?.CatchUp();
    }

    /// <summary>A client of ours has come back to another replica for the stream of a call that runs here: that one is told of each event.</summary>
    public void FollowedBy(string replica, string streamId)
    {
        // Letters to a dead replica come to whoever took it over, which may be the one that wrote them.
        if (replica == services.Peers.Name || Find(streamId) is not { IsTheirs: false } stream)
        {
            return;
        }

        lock (_gate)
        {
            (_followers ??= new(StringComparer.Ordinal))[streamId] = replica;
            session.Log.Committed ??= TellFollower;
        }

        stream.Connection?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
        services.Peers.Signal(replica, WroteSignal, $"{session.Id} {streamId}");
    }

    private void TellFollower(string streamId)
    {
        string? follower;
        lock (_gate)
        {
            follower = _followers?.GetValueOrDefault(streamId);
        }

        if (follower is not null)
        {
            services.Peers.Signal(follower, WroteSignal, $"{session.Id} {streamId}");
        }
    }
}
