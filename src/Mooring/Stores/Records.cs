namespace Mooring.Stores;

/// <summary>A client conversation as it outlives processes.</summary>
internal sealed record SessionRecord
{
    public required string Id { get; init; }

    /// <summary>Who issued the identity; empty without authentication.</summary>
    public required string Issuer { get; init; }

    /// <summary>Whose session this is within <see cref="Issuer"/>; empty without authentication.</summary>
    public required string Subject { get; init; }

    /// <summary>The server of a single-server route; null on the merged route.</summary>
    public string? Server { get; init; }

    /// <summary><c>http</c> (Streamable HTTP) or <c>sse</c> (HTTP+SSE).</summary>
    public required string Transport { get; init; }

    /// <summary>The negotiated protocol version as on the wire.</summary>
    public required string Version { get; init; }

    /// <summary>The client's <c>initialize</c> params, raw UTF-8 JSON; empty until they came (HTTP+SSE).</summary>
    public required ReadOnlyMemory<byte> InitializeParams { get; init; }

    /// <summary>Whether <c>notifications/initialized</c> came.</summary>
    public bool Initialized { get; init; }

    /// <summary>What the client set with <c>logging/setLevel</c>, or null.</summary>
    public string? LogLevel { get; init; }

    /// <summary>Resource URIs subscribed to, as the client wrote them.</summary>
    public IReadOnlyList<string> Subscriptions { get; init; } = [];

    /// <summary>Resources that no list shows, as servers sent links to them; the newest last.</summary>
    public IReadOnlyList<SeenLink> Links { get; init; } = [];

    /// <summary>Both as stores keep them: in one list, which a release that knows no links goes on with.</summary>
    public IReadOnlyList<string> Lasting
    {
        get => Links.Count == 0 ? Subscriptions : [.. Subscriptions, .. Links.Select(link => link.ToString())];
        init
        {
            var links = value.Select(SeenLink.Parse).OfType<SeenLink>().ToList();
            Links = links;
            Subscriptions = links.Count == 0 ? value : [.. value.Where(text => SeenLink.Parse(text) is null)];
        }
    }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset LastSeen { get; init; }

    /// <summary>
    /// Where the session's newest stream for messages outside of calls is; null: there never was one. Kept by the store:
    /// <see cref="IStore.SetListenerAsync"/> alone changes it, a saved record does not.
    /// </summary>
    public SessionListener? Listener { get; init; }

    /// <summary>0, 1, 2 … with every change of the record by <see cref="IStore.UpdateSessionAsync"/>, which tells the changes of several replicas apart.</summary>
    public long Revision { get; init; }
}

/// <summary>A resource that no list shows.</summary>
/// <param name="Server">Who sent the session a link to it.</param>
/// <param name="Uri">As it was sent.</param>
internal readonly record struct SeenLink(string Server, string Uri)
{
    /// <summary>No URI begins so, and neither server names nor URIs have spaces.</summary>
    private const string Mark = "mooring-link ";

    /// <summary>Null: it is something else.</summary>
    public static SeenLink? Parse(string text) =>
        text.StartsWith(Mark, StringComparison.Ordinal) && text[Mark.Length..].Split(' ', 2) is [var server, var uri] ? new(server, uri) : null;

    public override string ToString() => $"{Mark}{Server} {Uri}";
}

/// <summary>Where a session is listened to.</summary>
/// <param name="Replica">The process that has the stream.</param>
/// <param name="Stream">The stream, which may have been at another process before.</param>
internal readonly record struct SessionListener(string Replica, string Stream)
{
    /// <summary>The replica alone, where a release wrote it that did not know the stream.</summary>
    public static SessionListener? Parse(string? text) => text?.Split(' ', 2) switch
    {
        null => null,
        [var replica, var stream] => new(replica, stream),
        var alone => new(alone[0], ""),
    };

    public override string ToString() => $"{Replica} {Stream}";
}

/// <summary>The gateway's own session with one upstream on behalf of one client session.</summary>
internal sealed record LinkRecord
{
    public required string SessionId { get; init; }

    public required string Server { get; init; }

    /// <summary>The upstream's <c>Mcp-Session-Id</c>; null where it gave none.</summary>
    public string? UpstreamSessionId { get; init; }

    public required string Version { get; init; }

    /// <summary>The upstream's <c>InitializeResult</c>, raw UTF-8 JSON.</summary>
    public required ReadOnlyMemory<byte> InitializeResult { get; init; }

    /// <summary>A hash of what the link was opened with (address, headers, client parameters); a link with another hash is not reused.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Lists that this link alone was shown, one JSON object with a list's raw result under each kind; empty: it was shown what everybody is.</summary>
    public ReadOnlyMemory<byte> OwnLists { get; init; }

    /// <summary>
    /// Id of the last event of the server's own stream that is in the log of the session, to listen from there; null: none. Kept by the store:
    /// an appended event moves it (<see cref="EventRecord.Origin"/>); that of a saved link counts only where there is none yet for its <see cref="UpstreamSessionId"/>.
    /// </summary>
    public string? Heard { get; init; }
}

internal enum StreamKind
{
    /// <summary>A standalone GET stream.</summary>
    Get,

    /// <summary>The answer of a POST with one or more requests.</summary>
    Post,
}

internal enum StreamState
{
    /// <summary>More may come.</summary>
    Running,

    /// <summary>Its last message is in the log.</summary>
    Finished,

    /// <summary>Its call was cancelled; nothing more comes and there is no answer.</summary>
    Cancelled,
}

/// <summary>One resumable stream; for a POST also the record of its call.</summary>
internal sealed record StreamRecord
{
    public required string SessionId { get; init; }

    /// <summary>Random, unique in the session and beyond.</summary>
    public required string StreamId { get; init; }

    public required StreamKind Kind { get; init; }

    public required StreamState State { get; init; }

    /// <summary>The client's request ids (raw JSON tokens) this stream has yet to answer or answered; empty for GET.</summary>
    public IReadOnlyList<string> RequestIds { get; init; } = [];

    /// <summary>The upstream the call went to; null for GET or when several.</summary>
    public string? Server { get; init; }

    /// <summary>The process that runs the call.</summary>
    public string? Replica { get; init; }

    public required DateTimeOffset Changed { get; init; }

    /// <summary>Highest sequence that was dropped by a limit; 0: none. Kept by the store.</summary>
    public long TrimmedTo { get; init; }

    /// <summary>From where another process can go on with the call; null where none could, as far as is known.</summary>
    public CallCursor? Cursor { get; init; }
}

/// <summary>One event of a stream.</summary>
/// <param name="SessionId">The session.</param>
/// <param name="StreamId">The stream in that session.</param>
/// <param name="Sequence">1, 2, 3 … in the stream.</param>
/// <param name="Body">The JSON-RPC message, raw UTF-8; empty for a primer.</param>
/// <param name="Written">When it was appended.</param>
/// <param name="RequestId">What it is known by beside its place: the client request (raw JSON token) that it answers, the letter it came in, or the event of the call's server that it was made of (<see cref="CallCursor.Key"/>); mostly null.</param>
/// <param name="Origin">The server's event it was made of, where that had an id: the link remembers it in the same transaction. Not read back.</param>
internal sealed record EventRecord(
    string SessionId, string StreamId, long Sequence, ReadOnlyMemory<byte> Body, DateTimeOffset Written, string? RequestId = null, EventOrigin? Origin = null);

/// <summary>An event that a server sent of its own accord, on the stream of its session.</summary>
/// <param name="Server">The upstream.</param>
/// <param name="UpstreamSessionId">As in <see cref="LinkRecord.UpstreamSessionId"/>: an id means nothing in another session.</param>
/// <param name="EventId">The server's id of the event.</param>
/// <param name="After">
/// The id of the one before it among those that go into a log, empty where there is none: only as its successor is it appended
/// (<see cref="IStore.AppendEventAsync"/>). Null where nobody else can have heard it.
/// </param>
/// <param name="Hearer">Who heard it, to be told where it is refused.</param>
internal sealed record EventOrigin(string Server, string UpstreamSessionId, string EventId, string? After = null, string? Hearer = null)
{
    /// <summary>Whether it may follow on what a link remembers (<see cref="LinkRecord.Heard"/>).</summary>
    public bool Follows(string? heard) => After is null || heard is null || After == heard;
}

/// <summary>One last known good answer of an upstream (its InitializeResult or a list).</summary>
/// <param name="Server">The upstream.</param>
/// <param name="Key">Protocol version, declared capabilities and credential identity it was asked with.</param>
/// <param name="Kind"><c>initialize</c>, <c>tools</c>, <c>prompts</c>, <c>resources</c>, <c>templates</c>.</param>
/// <param name="Body">Raw UTF-8 JSON, as the catalogue keeps it.</param>
/// <param name="Hash">Of the body, to notice changes.</param>
/// <param name="Fetched">When the upstream last confirmed it.</param>
internal sealed record CatalogueRecord(string Server, string Key, string Kind, ReadOnlyMemory<byte> Body, string Hash, DateTimeOffset Fetched);

/// <summary>Whose task it is, on a link that serves several people; or a held one that its person may list.</summary>
/// <param name="Server">The upstream.</param>
/// <param name="TaskId">That upstream's own id of it; of a held one the gateway's.</param>
/// <param name="Issuer">As in <see cref="SessionRecord.Issuer"/>.</param>
/// <param name="Subject">As in <see cref="SessionRecord.Subject"/>.</param>
/// <param name="Expires">When the row may go.</param>
internal sealed record TaskRecord(string Server, string TaskId, string Issuer, string Subject, DateTimeOffset Expires);

/// <summary>Who holds a merged name.</summary>
/// <param name="Kind"><c>tool</c>, <c>prompt</c> or <c>resource</c>.</param>
/// <param name="Name">As shown to clients (a resource's URI).</param>
/// <param name="Server">The first holder.</param>
internal sealed record NameRecord(string Kind, string Name, string Server);
