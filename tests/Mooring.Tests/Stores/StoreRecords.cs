using System.Text;
using Mooring.Stores;

namespace Mooring.Tests.Stores;

/// <summary>Records for the store tests, each with every field different from its default.</summary>
internal static class StoreRecords
{
    public static SessionRecord Session(string id = "session", DateTimeOffset? seen = null) => new()
    {
        Id = id,
        Issuer = "https://issuer.example",
        Subject = "ada\0@example, Ünï 🚢",
        Server = "files",
        Transport = "http",
        Version = "2025-11-25",
        InitializeParams = Utf8("""{"clientInfo":{"name":"t"}}"""),
        Initialized = true,
        LogLevel = "warning",
        Subscriptions = ["file:///a b", "file:///\"quoted\"", ""],
        Links = [new("files", "file:///a c"), new("other", "file:///\"quoted\"")],
        Created = FakeClock.Start - TimeSpan.FromTicks(1),
        LastSeen = seen ?? FakeClock.Start,
    };

    /// <summary>As releases wrote it that kept no links of servers with a session.</summary>
    public static SessionRecord OlderSession() => Session() with { Links = [] };

    public static LinkRecord Link(string session = "session", string server = "files") => new()
    {
        SessionId = session,
        Server = server,
        UpstreamSessionId = "up-1",
        Version = "2025-06-18",
        InitializeResult = Utf8("""{"capabilities":{}}"""),
        Fingerprint = "f00",
        OwnLists = Utf8("""{"tools":{"tools":[]}}"""),
    };

    public static StreamRecord Call(string stream = "stream", string session = "session") => new()
    {
        SessionId = session,
        StreamId = stream,
        Kind = StreamKind.Post,
        State = StreamState.Running,
        RequestIds = ["7", "\"seven\""],
        Server = "files",
        Replica = "r1",
        Changed = FakeClock.Start,
        Cursor = Cursor(),
    };

    public static CallCursor Cursor(string eventId = "e 1/\"") => new("up-1", "2025-06-18", "f00", 7, eventId, "tools/call", "index", "\"t\"", After: 1);

    public static StreamRecord Get(string stream = "get", string session = "session") =>
        Call(stream, session) with { Kind = StreamKind.Get, RequestIds = [], Server = null, Replica = null, Cursor = null };

    public static EventRecord Event(
        long sequence, string stream = "stream", string session = "session", string body = "{}", DateTimeOffset? written = null) =>
        new(session, stream, sequence, Utf8(body), written ?? FakeClock.Start);

    public static HeldTask Held(string id = "task") => new()
    {
        Id = id,
        Issuer = "https://issuer.example",
        Subject = "ada\0@example, Ünï 🚢",
        Route = "files",
        Server = "files",
        Tool = "in\"dex",
        Meta = Utf8("""{"m":1}"""),
        Status = HeldTaskStatus.InputRequired,
        Message = "waits",
        Created = FakeClock.Start - TimeSpan.FromTicks(1),
        Updated = FakeClock.Start,
        Expires = FakeClock.Start + TimeSpan.FromHours(1),
        Replica = "r1",
        ServerTask = "theirs",
        Cursor = Cursor(),
        Body = Utf8("""{"q1":{}}"""),
    };

    public static string Describe(HeldTask? task) =>
        task is null ? "none" : Line(task with { Meta = default, Body = default }) + Text(task.Meta) + Text(task.Body);

    public static ReadOnlyMemory<byte> Utf8(string text) => Encoding.UTF8.GetBytes(text);

    public static string Text(ReadOnlyMemory<byte> utf8) => Encoding.UTF8.GetString(utf8.Span);

    /// <summary>Everything in one line: records compare their byte and list members by reference.</summary>
    public static string Describe(SessionRecord? session) => session is null
        ? "none"
        : Line(session with { InitializeParams = default, Subscriptions = [], Links = [] })
            + Text(session.InitializeParams) + Line(session.Subscriptions) + string.Join('|', session.Links);

    public static string Describe(LinkRecord link) =>
        Line(link with { InitializeResult = default, OwnLists = default }) + Text(link.InitializeResult) + Text(link.OwnLists);

    public static string Describe(StreamRecord? stream) =>
        stream is null ? "none" : Line(stream with { RequestIds = [] }) + Line(stream.RequestIds);

    public static string Describe(EventRecord record) => Line(record with { Body = default }) + Text(record.Body);

    public static string Describe(CatalogueRecord record) => Line(record with { Body = default }) + Text(record.Body);

    private static string Line(object value) =>
        value is IReadOnlyList<string> list ? $"[{string.Join('|', list)}]" : value.ToString()!;
}
