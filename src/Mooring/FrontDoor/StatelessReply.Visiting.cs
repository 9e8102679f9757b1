using Mooring.Protocol;

namespace Mooring.FrontDoor;

/// <content>
/// Pages that a person has to visit before a call can be done: to link an account, or because a server of 2025-11-25 says so. The client is told in this
/// version's way, and its retry is run anew (2026-07-28, basic/patterns/mrtr and client/elicitation).
/// </content>
internal sealed partial class StatelessReply
{
    /// <summary>Whether the client said no to visiting pages for this very call: it is not asked the same again.</summary>
    public bool WasDeclined { get; init; }

    private bool OpensPages => JsonFields.Has(JsonFields.Object(Capabilities, "elicitation"u8), "url"u8);

    /// <returns>False where that cannot be asked: the error stands.</returns>
    private bool AskToVisit(StatelessExchange exchange, Frame error)
    {
        if (WasDeclined || !MayBeAsked || !OpensPages)
        {
            return false;
        }

        var pages = new List<(string, byte[])>();
        foreach (var page in PagesOf(error))
        {
            pages.Add(($"u{pages.Count + 1}", [.. "{\"method\":\"elicitation/create\",\"params\":"u8, .. JsonFields.Without(page, "elicitationId"u8), (byte)'}']));
        }

        if (pages.Count == 0 || _parked.Park(reply: null, RetryKey.Of(Session, exchange.Request)) is not { } reference)
        {
            return false;
        }

        if (!Put(exchange, reference, pages))
        {
            // It left just now, and never saw the reference.
            _parked.Drop(reference);
        }

        return true;
    }

    /// <summary>What cannot be asked, as an error that this version has, with the addresses in its sentence. Others stay as they are.</summary>
    private Frame Told(Frame error)
    {
        if (!OpensPages || PagesOf(error) is not { Count: > 0 } pages)
        {
            return error;
        }

        var said = error.Span(error.Envelope.Error);
        var addresses = string.Join(" and ", pages.Select(page => JsonFields.String(page, "url"u8)).OfType<string>());
        var why = JsonFields.String(said, "message"u8) ?? "A page has to be visited first.";
        return Frame.Parse(JsonRpc.Error(
            error.Id, JsonRpc.InternalError, $"{why} Open {addresses} in a browser, then try again.", JsonFields.Without(JsonFields.Object(said, "data"u8), "elicitations"u8)));
    }

    /// <summary>The pages of an error that says which are to be visited; none of any other.</summary>
    private static List<byte[]> PagesOf(Frame error)
    {
        var said = error.Span(error.Envelope.Error);
        var code = JsonFields.Find(said, "code"u8);
        var pages = new List<byte[]>();
        if (!code.IsPresent || !JsonRpc.TryReadId(said.Slice(code.Start, code.Length), out var number) || number != JsonRpc.UrlElicitationRequired)
        {
            return pages;
        }

        var data = JsonFields.Object(said, "data"u8);
        foreach (var at in JsonFields.Elements(data, "elicitations"u8))
        {
            if (data[at.Start] == '{')
            {
                pages.Add(data.Slice(at.Start, at.Length).ToArray());
            }
        }

        return pages;
    }
}
