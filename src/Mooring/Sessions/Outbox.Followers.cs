using System.Globalization;
using Mooring.Replicas;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <content>
/// Streams whose client has come back to another replica while this one still writes to them, since it runs their call or wrote while it moved:
/// that one shows what is written here.
/// </content>
internal sealed partial class Outbox
{
    /// <summary>Kind of letter: a replica wants to hear of each event of a stream. Its subject is the stream, its body the replica.</summary>
    public const string FollowLetter = "follow";

    /// <summary>Kind of signal: session and stream; another replica has written to it.</summary>
    public const string WroteSignal = "wrote";

    /// <summary>
    /// Kind of letter: a replica has something for a stream that the other one shows, which is in no log. Its subject is the stream and the last event there was then: after
    /// another one it says nothing any more.
    /// </summary>
    public const string ShowLetter = "show";

    private Dictionary<string, string>? _followers;

    /// <summary>Another replica has written to one of our streams.</summary>
    public void Wrote(string streamId)
    {
        Find(streamId)?.CatchUp();
    }

    /// <summary>Signals may have been lost: whatever others wrote to streams that are open here is looked for.</summary>
    public void CatchUp()
    {
        if (!services.Peers.IsShared)
        {
            return;
        }

        EventStream[] open;
        lock (_gate)
        {
            open = [.. _streams.Where(s => s.IsAttached)];
        }

        foreach (var stream in open)
        {
            stream.CatchUp();
        }
    }

    /// <summary>A client of ours has come back to another replica for the stream of a call that runs here: that one is told of each event.</summary>
    public void FollowedBy(string replica, string streamId)
    {
        // Letters to a dead replica come to whoever took it over, which may be the one that wrote them.
        if (replica == services.Peers.Name || Find(streamId) is not { IsTheirs: false } stream)
        {
            return;
        }

        Follow(replica, streamId);
        stream.Connection?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
        services.Peers.Signal(replica, WroteSignal, $"{session.Id} {streamId}");
    }

    /// <summary>Has the replica that a client came back to show it something that no log keeps.</summary>
    /// <returns>Whether there is one.</returns>
    public bool ShowElsewhere(EventStream stream, byte[] line)
    {
        string? follower;
        lock (_gate)
        {
            follower = _followers?.GetValueOrDefault(stream.Id);
        }

        if (follower is not null)
        {
            services.Peers.PostAsync(follower, ShowLetter, new Letter(session.Id, string.Create(CultureInfo.InvariantCulture, $"{stream.Id} {stream.Last}"), line)).Unawaited(services.Logger);
        }

        return follower is not null;
    }

    /// <summary>Shows what the replica that writes a stream has for whoever looks at it here.</summary>
    public void Show(Letter letter)
    {
        if (letter.Subject.Split(' ') is [var streamId, var number] && long.TryParse(number, CultureInfo.InvariantCulture, out var last)
            && Find(streamId) is { IsTheirs: true, IsAttached: true } stream && stream.Shown <= last)
        {
            stream.ShowOnly(letter.Body.ToArray());
        }
    }

    /// <summary>Goes on with the stream of a call that ran at another replica: who came back for it to this one looks on, and is shown each event at once.</summary>
    public void TakeOver(EventStream stream)
    {
        lock (_gate)
        {
            // The first of its name: whoever comes from now on is shown this one.
            (_calls ??= new List<EventStream>(1)).Insert(0, stream);
            session.Log.Committed ??= TellFollower;
        }
    }

    /// <summary>From now on a replica is told of each event that this one writes to a stream.</summary>
    private void Follow(string replica, string streamId)
    {
        lock (_gate)
        {
            (_followers ??= new(StringComparer.Ordinal))[streamId] = replica;
            session.Log.Committed ??= TellFollower;
        }
    }

    private void TellFollower(string streamId)
    {
        string? follower;
        List<EventStream>? onlookers;
        lock (_gate)
        {
            follower = _followers?.GetValueOrDefault(streamId);
            onlookers = _calls?.FindAll(s => s.Id == streamId && s.IsTheirs);
        }

        onlookers?.ForEach(stream => stream.CatchUp());

        if (follower is not null)
        {
            services.Peers.Signal(follower, WroteSignal, $"{session.Id} {streamId}");
        }
    }
}
