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

    /// <summary>What the server asked and has no answer to: whoever goes on behind that would not hear of it again.</summary>
    private int _unanswered;

    /// <summary>Where another process left it; null: it begins here.</summary>
    public CallCursor? Begins
    {
        init => _begins = value;
    }

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

        var place = PlaceAt(link, origin);
        Hearing = place is null ? null : place with { IsBehindQuestion = Volatile.Read(ref _unanswered) > 0 };
        link.Owner.OnMessage(link, frame, this, origin);
        if (place is not null)
        {
            Volatile.Write(ref _heard, place);
        }
    }

    public override void OnPrimed(Link link, EventOrigin origin)
    {
        if (PlaceAt(link, origin) is { } place)
        {
            Volatile.Write(ref _heard, place);
            if (Volatile.Read(ref _unanswered) == 0)
            {
                Reply.Reached(place);
            }
        }
    }

    /// <summary>Its server has the answer to what it asked, or nobody will give it one: it is not to be asked again by whoever goes on.</summary>
    public void Answered()
    {
        if (Interlocked.Decrement(ref _unanswered) == 0 && Volatile.Read(ref _heard) is { } heard)
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

        _begins ??= BeginningOn(link, origin.UpstreamSessionId);
        if (_begins.Session != origin.UpstreamSessionId)
        {
            _begins = _begins with { Session = origin.UpstreamSessionId, Place = PlaceOf(link), Renewals = _begins.Renewals + 1 };
        }

        return _begins with { EventId = origin.EventId };
    }

    /// <summary>Whether the server's task of it was made with another account than a link is of: it is not that one's, nor is its answer. Where a release before made it, nothing is noted of that.</summary>
    public bool IsOfAnotherAccount(Link link) =>
        ServerTask is not null && link.Parameters.Authorizer is { Linking: not null } && _begins is { Place: { Length: > 0 } of } && of != PlaceOf(link);

    /// <summary>Of a server that is used with people's accounts it is noted with which one its task was made: whoever goes on with that has to know.</summary>
    private void NoteAccountOfTask()
    {
        if (Link is { Parameters.Authorizer: not null } link)
        {
            _begins = (_begins ?? BeginningOn(link, link.SessionId ?? "")) with { Place = PlaceOf(link) };
            Reply.Reached(_begins);
        }
    }

    private CallCursor BeginningOn(Link link, string session) => new(
        session, link.Version.ToWire(), PlaceOf(link), Id, "", Request.MethodName, ToolName, Encoding.UTF8.GetString(Request.Span(Request.Envelope.MetaProgressToken)));

    private string PlaceOf(Link link) => Upstream.PlaceWith(link.Parameters.Authorizer is { } authorizer ? authorizer.Linking ?? "" : null);
}
