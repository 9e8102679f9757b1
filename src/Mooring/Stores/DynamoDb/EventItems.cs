using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>Events and streams of a session.</summary>
internal static class EventItems
{
    public const string Body = "body";

    /// <summary>On an event that a server said of its own accord, until the session's item says that it counts.</summary>
    public const string Waits = "waits";

    /// <summary>Where one that waits is from, so that whoever comes upon it can see it through.</summary>
    public const string Origin = "origin";

    public static async Task<Dictionary<string, AttributeValue>> MakeAsync(
        DynamoBodies bodies, string incarnation, EventRecord record, StreamState? state, long stamp, DateTimeOffset expires)
    {
        var item = DynamoKeys.Event(incarnation, record.StreamId, record.Sequence).With("stream", Text(record.StreamId)).With("sequence", Number(record.Sequence))
            .With("written", Time(record.Written)).With("requestId", TextOrNull(record.RequestId)).With("state", state is { } changed ? Number((long)changed) : null)
            .With("n", Number(stamp)).With("size", Number(record.Body.Length)).With(DynamoKeys.Expires, Ttl(expires));
        await bodies.AddAsync(item, Body, record.Body, expires);
        return item;
    }

    /// <returns>Null: part of it is gone.</returns>
    public static async Task<EventRecord?> ReadAsync(DynamoBodies bodies, Dictionary<string, AttributeValue> item, string sessionId, CancellationToken cancel) =>
        await bodies.ReadAsync(item, Body, cancel) is { } body
            ? new EventRecord(sessionId, item.Text("stream"), item.Number("sequence"), body, item.Time("written"), item.TextOrNull("requestId"))
            : null;

    public static void Wait(Dictionary<string, AttributeValue> item, EventOrigin origin)
    {
        item[Waits] = Text(origin.Server);
        item[Origin] = Map(new Dictionary<string, AttributeValue>(StringComparer.Ordinal) { ["u"] = Text(origin.UpstreamSessionId), ["e"] = Text(origin.EventId) }.With("a", TextOrNull(origin.After)));
    }

    public static EventOrigin OriginOf(Dictionary<string, AttributeValue> item)
    {
        var origin = item.Map(Origin);
        return new EventOrigin(item.Text(Waits), origin.Text("u"), origin.Text("e"), origin.TextOrNull("a"));
    }

    /// <summary>Whether an event counts, by what the session's item says.</summary>
    public static bool Counts(Dictionary<string, AttributeValue> item, Dictionary<string, AttributeValue>? head) =>
        item.TextOrNull(Waits) is not { } server || head?.Map("pend").Map(server).TextOrNull(DynamoKeys.Token) == item.Text(DynamoKeys.Token);

    public static Dictionary<string, AttributeValue> Make(string incarnation, StreamRecord stream) => DynamoKeys.Stream(incarnation, stream.StreamId)
        .With("stream", Text(stream.StreamId)).With("kind", Number((long)stream.Kind)).With("state", Number((long)stream.State)).With("ids", Texts(stream.RequestIds))
        .With("server", TextOrNull(stream.Server)).With("replica", TextOrNull(stream.Replica)).With("changed", Time(stream.Changed))
        .With("cursor", TextOrNull(stream.Cursor?.ToString()));

    public static StreamRecord Read(Dictionary<string, AttributeValue> item, string sessionId) => new()
    {
        SessionId = sessionId,
        StreamId = item.Text("stream"),
        Kind = (StreamKind)item.Number("kind"),
        State = (StreamState)item.Number("state"),
        RequestIds = item.Texts("ids"),
        Server = item.TextOrNull("server"),
        Replica = item.TextOrNull("replica"),
        Changed = item.Time("changed"),
        TrimmedTo = item.Number("trimmed"),
        Cursor = CallCursor.Parse(item.TextOrNull("cursor")),
    };
}
