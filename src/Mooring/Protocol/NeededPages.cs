namespace Mooring.Protocol;

/// <summary>Pages that a person has to visit before a request can be done, as a server of 2025-11-25 says it (client/elicitation, "URL Elicitation Required Error").</summary>
internal static class NeededPages
{
    /// <summary>The pages of an error that says which are to be visited, as raw JSON; none of any other.</summary>
    public static List<byte[]> Of(Frame error)
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

    /// <summary>
    /// The error for a client that cannot be asked to visit pages: with a code that every version knows (−32603) and the addresses in its sentence, which is all that
    /// such a client shows. Null where it names no page.
    /// </summary>
    public static byte[]? InWords(Frame error)
    {
        if (Of(error) is not { Count: > 0 } pages)
        {
            return null;
        }

        var said = error.Span(error.Envelope.Error);
        var addresses = string.Join(" and ", pages.Select(page => JsonFields.String(page, "url"u8)).OfType<string>());
        var why = JsonFields.String(said, "message"u8)?.TrimEnd('.', ' ') is { Length: > 0 } message ? message : "A page has to be visited first";
        var rest = JsonFields.Without(JsonFields.Object(said, "data"u8), "elicitations"u8);
        return JsonRpc.Error(error.Id, JsonRpc.InternalError, $"{why}. Open {addresses} in a browser, then try again.", rest);
    }
}
