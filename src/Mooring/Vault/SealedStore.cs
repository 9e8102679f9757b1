using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Seals what a store of any kind holds of people: the bodies of events, the parameters of sessions, and what servers showed one session alone.
/// Ids, names of servers, times and states stay readable, since the store finds and orders by them. Rows in clear are read as they are.
/// </summary>
/// <param name="inner">The store; this one's from here on.</param>
/// <param name="keys">Opened right after the store.</param>
internal sealed partial class SealedStore(IStore inner, KeyRing keys) : IStore
{
    /// <summary>What a sealed text begins with. That of a list of subscriptions stands for all of them.</summary>
    private const string SealedText = "mooring-sealed:";

    public bool IsRemote => inner.IsRemote;

    public DateTimeOffset? AwaySince => inner.AwaySince;

    public Task OpenAsync(CancellationToken cancel) => inner.OpenAsync(cancel);

    public async ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel)
    {
        if (await inner.FindSessionAsync(sessionId, cancel) is not { } session)
        {
            return null;
        }

        return session with
        {
            InitializeParams = await keys.OpenAsync(Params(sessionId), session.InitializeParams, cancel),
            Lasting = session.Lasting is [{ } only] && only.StartsWith(SealedText, StringComparison.Ordinal)
                ? await OpenListAsync(sessionId, only, cancel)
                : session.Lasting,
        };
    }

    public async Task SaveSessionAsync(SessionRecord session) => await inner.SaveSessionAsync(Seal(session));

    public async Task<bool> UpdateSessionAsync(SessionRecord session) => await inner.UpdateSessionAsync(Seal(session));

    public async Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel)
    {
        var links = await inner.FindLinksAsync(sessionId, cancel);
        var opened = new List<LinkRecord>(links.Count);
        foreach (var link in links)
        {
            opened.Add(link with
            {
                InitializeResult = await keys.OpenAsync(Result(link), link.InitializeResult, cancel),
                OwnLists = await keys.OpenAsync(Lists(link), link.OwnLists, cancel),
                Fingerprint = link.Fingerprint.StartsWith(SealedText, StringComparison.Ordinal)
                    ? Encoding.UTF8.GetString((await OpenTextAsync(Fingerprint(link), link.Fingerprint, $"What a link of session {sessionId} depends on", cancel)).Span)
                    : link.Fingerprint,
            });
        }

        return opened;
    }

    public async Task SaveLinkAsync(LinkRecord link) => await inner.SaveLinkAsync(link with
    {
        InitializeResult = keys.Seal(Result(link), link.InitializeResult),
        OwnLists = keys.Seal(Lists(link), link.OwnLists),
        Fingerprint = keys.Seals && keys.SealsFingerprints ? SealText(Fingerprint(link), Encoding.UTF8.GetBytes(link.Fingerprint)) : link.Fingerprint,
    });

    public async Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) =>
        await inner.OpenStreamAsync(stream, primer is null ? null : Seal(primer));

    public async Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null) => await inner.AppendEventAsync(Seal(record), state);

    public async Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel)
    {
        var events = await inner.ReadEventsAsync(sessionId, streamId, after, limit, cancel);
        var opened = new List<EventRecord>(events.Count);
        foreach (var known in events)
        {
            opened.Add(known with { Body = await keys.OpenAsync(Event(known), known.Body, cancel) });
        }

        return opened;
    }

    private static RowName Params(string sessionId) => new("sessions", sessionId, "initialize_params", 1);

    private static RowName Subscriptions(string sessionId) => new("sessions", sessionId, "subscriptions", 1);

    private static RowName Result(LinkRecord link) => new("links.initialize_result", link.SessionId, link.Server, 1);

    private static RowName Lists(LinkRecord link) => new("links.own_lists", link.SessionId, link.Server, 1);

    private static RowName Fingerprint(LinkRecord link) => new("links.fingerprint", link.SessionId, link.Server, 1);

    private static RowName Event(EventRecord record) => new("events", record.SessionId, record.StreamId, record.Sequence);

    private EventRecord Seal(EventRecord record) =>
        keys.Seals && !record.Body.IsEmpty ? record with { Body = keys.Seal(Event(record), record.Body) } : record;

    private SessionRecord Seal(SessionRecord session) => session with
    {
        InitializeParams = keys.Seal(Params(session.Id), session.InitializeParams),
        Lasting = SealList(session.Id, session.Lasting),
    };

    private IReadOnlyList<string> SealList(string sessionId, IReadOnlyList<string> texts)
    {
        if (!keys.Seals || texts.Count == 0)
        {
            return texts;
        }

        return [SealText(Subscriptions(sessionId), JsonSerializer.SerializeToUtf8Bytes([.. texts], Texts.Default.StringArray))];
    }

    private string SealText(RowName row, byte[] text) => SealedText + Base64Url.EncodeToString(keys.Seal(row, text).Span);

    private async ValueTask<IReadOnlyList<string>> OpenListAsync(string sessionId, string text, CancellationToken cancel) =>
        JsonSerializer.Deserialize((await OpenTextAsync(Subscriptions(sessionId), text, $"What session {sessionId} subscribed to", cancel)).Span, Texts.Default.StringArray) ?? [];

    private async ValueTask<ReadOnlyMemory<byte>> OpenTextAsync(RowName row, string text, string what, CancellationToken cancel)
    {
        byte[] body;
        try
        {
            body = Base64Url.DecodeFromChars(text.AsSpan(SealedText.Length));
        }
        catch (FormatException)
        {
            throw new StoreException($"{what} does not open: it was changed.");
        }

        return await keys.OpenAsync(row, body, cancel);
    }

    [JsonSerializable(typeof(string[]))]
    private sealed partial class Texts : JsonSerializerContext;
}
