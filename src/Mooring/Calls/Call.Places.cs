using System.Text;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>How far its server's answer was heard, so that another process can go on from there should this one die.</content>
internal sealed partial class Call
{
    private CallCursor? _begins;

    /// <summary>All up to there was handed on.</summary>
    private CallCursor? _heard;

    /// <summary>Where what is being handed on just now stood; null where nobody could go on from there. Of the stream of its answer alone, and of the one that reads it.</summary>
    public CallCursor? Hearing { get; private set; }

    public override void OnRelated(Link link, Frame frame) => OnRelated(link, frame, origin: null);

    public override void OnRelated(Link link, Frame frame, EventOrigin? origin)
    {
        Sign();
        if (frame.Method == McpMethod.Progress && _progress is { } progress && !progress.Takes(frame))
        {
            return;
        }

        Hearing = PlaceAt(link, origin);
        link.Owner.OnMessage(link, frame, this, origin);
        if (Hearing is not null)
        {
            Volatile.Write(ref _heard, Hearing);
        }
    }

    public override void OnPrimed(Link link, EventOrigin origin)
    {
        if (PlaceAt(link, origin) is { } place)
        {
            Volatile.Write(ref _heard, place);
            Reply.Reached(place);
        }
    }

    /// <summary>What its server asked was answered, which is not to be asked again by whoever goes on.</summary>
    private void Answered()
    {
        if (Volatile.Read(ref _heard) is { } heard)
        {
            Reply.Reached(heard);
        }
    }

    /// <summary>Null where it has none, or nobody could go on with it: what a result changes the gateway notes itself, and a task of the server's goes on in another way.</summary>
    private CallCursor? PlaceAt(Link link, EventOrigin? origin)
    {
        if (origin is null || OnResult is not null || WishesTask || ServerTask is not null || origin.EventId.Length > CallCursor.LongestEventId)
        {
            return null;
        }

        _begins ??= new CallCursor(
            origin.UpstreamSessionId, link.Version.ToWire(), Upstream.Place, Id, "", Request.MethodName, ToolName,
            Encoding.UTF8.GetString(Request.Span(Request.Envelope.MetaProgressToken)));
        return _begins with { Session = origin.UpstreamSessionId, EventId = origin.EventId };
    }
}
