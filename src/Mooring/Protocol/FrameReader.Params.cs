using System.Text;
using System.Text.Json;

namespace Mooring.Protocol;

/// <content>The params of a message: where the fields lie that the gateway routes by.</content>
internal static partial class FrameReader
{
    /// <summary>What the gateway routes by, the most frequent first; each has its <see cref="Slot"/>.</summary>
    private static readonly (string Name, byte[] Utf8)[] Routed =
    [
        .. new[] { "name", "uri", "ref", "progressToken", "requestId", "taskId", "cursor", "level", "protocolVersion" }
            .Select(name => (name, Encoding.ASCII.GetBytes(name))),
    ];

    /// <summary>What a request must not have in another case.</summary>
    private static readonly string[] ParamKeys = [.. Routed.Select(routed => routed.Name), "arguments", "_meta"];

    /// <returns>The name of a key that stands twice, or null.</returns>
    private static string? ReadParams(ref Utf8JsonReader reader, ref Envelope envelope)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            envelope.Params = new Slice(start, (int)reader.BytesConsumed - start);
            return null;
        }

        string? twice = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (JsonText.IsKey(ref reader, "_meta"u8))
            {
                if (envelope.Meta.IsPresent || !ReadMeta(ref reader, ref envelope))
                {
                    twice ??= "_meta";
                    reader.Skip();
                }
            }
            else if (RoutedBy(ref reader) is { } name)
            {
                if (!Once(ref reader, ref Slot(ref envelope, name)))
                {
                    twice ??= name;
                }
            }
            else
            {
                // Whether that matters depends on the method, which may stand behind.
                envelope.HasAlmost |= !JsonText.IsKey(ref reader, "arguments"u8) && AlmostOf(ref reader, ParamKeys) is not null;
                reader.Read();
                reader.Skip();
            }
        }

        envelope.Params = new Slice(start, (int)reader.BytesConsumed - start);
        return twice;
    }

    /// <summary>The name of the param the reader stands on, where the gateway routes by it; null for all others.</summary>
    private static string? RoutedBy(ref Utf8JsonReader reader)
    {
        // Nearly every call has them, and they are none.
        if (JsonText.IsKey(ref reader, "arguments"u8))
        {
            return null;
        }

        foreach (var (name, utf8) in Routed)
        {
            if (JsonText.IsKey(ref reader, utf8))
            {
                return name;
            }
        }

        return null;
    }

    private static ref Slice Slot(ref Envelope envelope, string name)
    {
        switch (name)
        {
            case "name":
                return ref envelope.Name;
            case "uri":
                return ref envelope.Uri;
            case "ref":
                return ref envelope.Reference;
            case "progressToken":
                return ref envelope.ProgressToken;
            case "requestId":
                return ref envelope.RequestId;
            case "taskId":
                return ref envelope.TaskId;
            case "cursor":
                return ref envelope.Cursor;
            case "level":
                return ref envelope.Level;
            default:
                return ref envelope.ProtocolVersion;
        }
    }

    private static bool ReadMeta(ref Utf8JsonReader reader, ref Envelope envelope)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        var once = true;
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (JsonText.IsKey(ref reader, "progressToken"u8))
                {
                    once &= Once(ref reader, ref envelope.MetaProgressToken);
                    continue;
                }

                envelope.IsStateless |= JsonText.IsKey(ref reader, "io.modelcontextprotocol/protocolVersion"u8);
                reader.Read();
                reader.Skip();
            }
        }
        else
        {
            reader.Skip();
        }

        if (envelope.MetaProgressToken.Length > LongestProgressToken)
        {
            envelope.MetaProgressToken = default;
        }

        envelope.Meta = new Slice(start, (int)reader.BytesConsumed - start);
        return once;
    }
}
