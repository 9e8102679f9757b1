using System.Text.Json;

namespace Mooring.Protocol;

/// <content>The params of a message: where the fields lie that the gateway routes by.</content>
internal static partial class FrameReader
{
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
            var key = ParamOf(ref reader, ref envelope, out var name);
            if (key == ParamKind.Meta)
            {
                if (envelope.Meta.IsPresent || !ReadMeta(ref reader, ref envelope))
                {
                    twice ??= "_meta";
                    reader.Skip();
                }
            }
            else if (key == ParamKind.Known)
            {
                ref var slot = ref Slot(ref envelope, name);
                if (!Once(ref reader, ref slot))
                {
                    twice ??= name;
                }
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        envelope.Params = new Slice(start, (int)reader.BytesConsumed - start);
        return twice;
    }

    private enum ParamKind
    {
        Unknown,
        Known,
        Meta,
    }

    private static ParamKind ParamOf(ref Utf8JsonReader reader, ref Envelope envelope, out string name)
    {
        name = "";
        if (JsonText.IsKey(ref reader, "name"u8))
        {
            name = "name";
        }
        else if (JsonText.IsKey(ref reader, "arguments"u8))
        {
            return ParamKind.Unknown;
        }
        else if (JsonText.IsKey(ref reader, "_meta"u8))
        {
            return ParamKind.Meta;
        }
        else if (JsonText.IsKey(ref reader, "uri"u8))
        {
            name = "uri";
        }
        else if (JsonText.IsKey(ref reader, "ref"u8))
        {
            name = "ref";
        }
        else if (JsonText.IsKey(ref reader, "progressToken"u8))
        {
            name = "progressToken";
        }
        else if (JsonText.IsKey(ref reader, "requestId"u8))
        {
            name = "requestId";
        }
        else if (JsonText.IsKey(ref reader, "taskId"u8))
        {
            name = "taskId";
        }
        else if (JsonText.IsKey(ref reader, "cursor"u8))
        {
            name = "cursor";
        }
        else if (JsonText.IsKey(ref reader, "level"u8))
        {
            name = "level";
        }
        else if (JsonText.IsKey(ref reader, "protocolVersion"u8))
        {
            name = "protocolVersion";
        }

        return name.Length == 0 ? ParamKind.Unknown : ParamKind.Known;
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

        envelope.Meta = new Slice(start, (int)reader.BytesConsumed - start);
        return once;
    }
}
