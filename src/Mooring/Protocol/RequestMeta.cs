using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>
/// What a request of the version without sessions says of its client (2026-07-28, basic/index, "_meta"). Slices lie in the request's frame; a
/// string includes its quotes. Read only for such requests, and once for each (<see cref="Frame.ClientMeta"/>): all others never pay for it.
/// </summary>
internal sealed class RequestMeta
{
    private static readonly RequestMeta Nothing = new();

    private RequestMeta()
    {
    }

    public Slice ProtocolVersion { get; private init; }

    public Slice ClientCapabilities { get; private init; }

    public Slice ClientInfo { get; private init; }

    public Slice LogLevel { get; private init; }

    /// <summary>The last of keys that stand twice counts, as with most readers; none of them leads to another server or user.</summary>
    public static RequestMeta Of(Frame request)
    {
        var at = request.Envelope.Meta;
        if (!at.IsPresent || request.Span(at)[0] != '{')
        {
            return Nothing;
        }

        Slice version = default, capabilities = default, info = default, level = default;
        var reader = new Utf8JsonReader(request.Span(at), JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Compared where they stand: a string for each would be most of what a request of this version costs here.
            var key = KeyOf(ref reader);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var value = new Slice(at.Start + start, (int)reader.BytesConsumed - start);
            switch (key)
            {
                case 'v':
                    version = value;
                    break;
                case 'c':
                    capabilities = value;
                    break;
                case 'i':
                    info = value;
                    break;
                case 'l':
                    level = value;
                    break;
            }
        }

        return new RequestMeta { ProtocolVersion = version, ClientCapabilities = capabilities, ClientInfo = info, LogLevel = level };
    }

    /// <summary>
    /// Where in <c>_meta</c> stands what only the version without sessions has there, each place with its comma, so that what is left is JSON once they are
    /// blank. They do not overlap.
    /// </summary>
    /// <returns>The places, in their order; and whether nothing else stands there.</returns>
    public static (IReadOnlyList<Slice> Claims, bool AreAll) ClaimsIn(Frame request)
    {
        var at = request.Envelope.Meta;
        List<Slice> claims = [];
        // The beginning of a claim before which nothing is left: its comma is the one that follows, so it lasts to the next property.
        int? open = null;
        var (end, isAnyLeft) = (0, false);
        var reader = new Utf8JsonReader(request.Span(at), JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (start, isClaim) = ((int)reader.TokenStartIndex, KeyOf(ref reader) != ' ');
            reader.Read();
            reader.Skip();
            if (open is { } from && !isClaim)
            {
                Add(from, start);
                open = null;
            }

            if (isClaim && isAnyLeft)
            {
                Add(end, (int)reader.BytesConsumed);
            }
            else if (isClaim)
            {
                open ??= start;
            }

            isAnyLeft |= !isClaim;
            end = (int)reader.BytesConsumed;
        }

        if (open is { } rest)
        {
            Add(rest, end);
        }

        return (claims, !isAnyLeft);

        void Add(int from, int to) => claims.Add(new Slice(at.Start + from, to - from));
    }

    private static char KeyOf(ref Utf8JsonReader reader) =>
        JsonText.IsKey(ref reader, "io.modelcontextprotocol/protocolVersion"u8) ? 'v'
        : JsonText.IsKey(ref reader, "io.modelcontextprotocol/clientCapabilities"u8) ? 'c'
        : JsonText.IsKey(ref reader, "io.modelcontextprotocol/clientInfo"u8) ? 'i'
        : JsonText.IsKey(ref reader, "io.modelcontextprotocol/logLevel"u8) ? 'l'
        : ' ';
}
