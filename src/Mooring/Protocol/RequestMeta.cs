using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>
/// What a request of the version without sessions says of its client (2026-07-28, basic/index, "_meta"). Slices lie in the request's frame; a
/// string includes its quotes. Read only for such requests: all others never pay for it.
/// </summary>
internal readonly struct RequestMeta
{
    /// <summary>Prefix of the keys that the protocol itself defines.</summary>
    private const string Prefix = "io.modelcontextprotocol/";

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
            return default;
        }

        Slice version = default, capabilities = default, info = default, level = default;
        var reader = new Utf8JsonReader(request.Span(at), JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = JsonText.Value(ref reader);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var value = new Slice(at.Start + start, (int)reader.BytesConsumed - start);
            switch (key)
            {
                case Prefix + "protocolVersion":
                    version = value;
                    break;
                case Prefix + "clientCapabilities":
                    capabilities = value;
                    break;
                case Prefix + "clientInfo":
                    info = value;
                    break;
                case Prefix + "logLevel":
                    level = value;
                    break;
            }
        }

        return new RequestMeta { ProtocolVersion = version, ClientCapabilities = capabilities, ClientInfo = info, LogLevel = level };
    }
}
