using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>
/// The answer to one <c>subscriptions/listen</c>: an event stream that begins with what is honoured and then tells of it until the client leaves.
/// Everything on it carries the id of the request (2026-07-28, basic/patterns/subscriptions, "Receiving Notifications").
/// </summary>
internal sealed class ListenStream
{
    private readonly Lock _gate = new();
    private readonly byte[] _id;
    private readonly byte[] _tag;
    private ListenFilter _filter;
    private List<byte[]>? _early = [];

    public ListenStream(HttpContext context, StreamTable streams, byte[] id, ListenFilter filter)
    {
        _id = id;
        _tag = [.. "\"io.modelcontextprotocol/subscriptionId\":"u8, .. id];
        _filter = filter;
        Connection = new SseConnection(context, streams, "post") { Era = "stateless" };
        Listener = new Listener(Connection, filter.Lists, Hear, End);
    }

    /// <summary>Its ear in the session that stands for the client.</summary>
    public Listener Listener { get; }

    public SseConnection Connection { get; }

    /// <summary>Says what is honoured; from here on it is told, and what came before follows.</summary>
    public void Acknowledge(ListenFilter honoured)
    {
        lock (_gate)
        {
            _filter = honoured;
            Connection.WriteMessage(id: null, JsonRpc.Notification("notifications/subscriptions/acknowledged",
                [.. "{\"_meta\":{"u8, .. _tag, .. "},\"notifications\":"u8, .. honoured.ToJson(), (byte)'}']));
            var early = _early ?? [];
            _early = null;
            foreach (var line in early)
            {
                TellLocked(Frame.Parse(line));
            }
        }
    }

    /// <summary>Tells what it was made for, whatever the filter says. After <see cref="Acknowledge"/>.</summary>
    public void Tell(byte[] line)
    {
        lock (_gate)
        {
            Connection.WriteMessage(id: null, Tagged(Frame.Parse(line)).ToLine());
        }
    }

    private void Hear(byte[] line)
    {
        var notification = Frame.Parse(line);
        lock (_gate)
        {
            if (_early is null)
            {
                TellLocked(notification);
            }
            else if (_filter.Wants(notification) && !_early.Exists(known => known.AsSpan().SequenceEqual(line)))
            {
                _early.Add(line);
            }
        }
    }

    private void End(StreamReason reason)
    {
        Connection.WriteMessage(id: null, JsonRpc.Result(_id, [.. "{\"resultType\":\"complete\",\"_meta\":{"u8, .. _tag, .. "}}"u8]));
        Connection.Complete(reason, ClosedBy.Gateway);
    }

    private void TellLocked(Frame notification)
    {
        if (_filter.Wants(notification))
        {
            Connection.WriteMessage(id: null, Tagged(notification).ToLine());
        }
    }

    private Message Tagged(Frame notification)
    {
        ref readonly var envelope = ref notification.Envelope;
        var message = new Message(notification);
        if (!envelope.Params.IsPresent)
        {
            return message.Replace(new Slice(envelope.MethodText.End, 0), (byte[])[.. ",\"params\":{\"_meta\":{"u8, .. _tag, .. "}}"u8]);
        }

        if (!envelope.Meta.IsPresent || notification.Span(envelope.Meta)[0] != '{')
        {
            var rest = IsEmpty(notification.Span(envelope.Params)) ? default : ","u8;
            return message.Replace(new Slice(envelope.Params.Start + 1, 0), (byte[])[.. "\"_meta\":{"u8, .. _tag, (byte)'}', .. rest]);
        }

        // A server of the same version has tagged it with the id of the gateway's own request.
        var meta = JsonFields.Without(notification.Span(envelope.Meta), "io.modelcontextprotocol/subscriptionId"u8);
        return message.Replace(envelope.Meta, JsonFields.Prepend(meta, _tag));
    }

    private static bool IsEmpty(ReadOnlySpan<byte> json) => json[1..^1].Trim(" \t\r\n"u8).IsEmpty;
}
