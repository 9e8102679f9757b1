using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Tests.Protocol;

/// <summary>The rules of a message, written again slowly and plainly over a parsed document. Says where each value lies.</summary>
internal sealed class PlainFrameReader
{
    private static readonly string[] EnvelopeKeys = ["jsonrpc", "id", "method", "params", "result", "error"];
    private static readonly string[] ParamKeys =
        ["name", "uri", "ref", "_meta", "progressToken", "requestId", "taskId", "cursor", "level", "protocolVersion"];

    private readonly byte[] _json;

    private PlainFrameReader(byte[] json) => _json = json;

    /// <summary>The code of the refusal; null where it is a message, 0 where it is refused with one code or another.</summary>
    public int? Refusal { get; private set; }

    public FrameKind Kind { get; private set; }

    /// <summary>Where values lie: envelope keys by their name, those of params as <c>params.x</c>, the token in it as <c>params._meta.progressToken</c>.</summary>
    public Dictionary<string, Slice> Places { get; } = [];

    public bool IsStateless { get; private set; }

    public static PlainFrameReader Read(byte[] json, int depth)
    {
        var plain = new PlainFrameReader(json);
        plain.Refusal = plain.Judge(depth);
        return plain;
    }

    /// <summary>The text of what stands between the quotes of a string; a lone half of a surrogate pair stays one.</summary>
    public static string Unescape(string raw)
    {
        var text = new StringBuilder();
        for (var i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\')
            {
                text.Append(raw[i]);
                continue;
            }

            i++;
            text.Append(raw[i] switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => (char)Convert.ToInt32(raw.Substring(i + 1, 4), 16),
                var c => c,
            });
            i += raw[i] == 'u' ? 4 : 0;
        }

        return text.ToString();
    }

    private int? Judge(int depth)
    {
        try
        {
            _ = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(_json);
        }
        catch (ArgumentException)
        {
            return FrameReader.ParseError;
        }

        if (Parse(100_000) is not { } document)
        {
            // A fault of the message may stand before the place where it stops to be JSON.
            return 0;
        }

        using (document)
        {
            using var shallow = Parse(depth);
            return shallow is null || document.RootElement.ValueKind != JsonValueKind.Object ? FrameReader.InvalidRequest : Judge(document.RootElement);
        }
    }

    private JsonDocument? Parse(int depth)
    {
        try
        {
            return JsonDocument.Parse(_json.AsMemory(), new JsonDocumentOptions { MaxDepth = depth });
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private int? Judge(JsonElement message)
    {
        var envelope = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (!Collect(message, EnvelopeKeys, "", envelope) || HasAlmost(message, EnvelopeKeys))
        {
            return FrameReader.InvalidRequest;
        }

        var method = envelope.TryGetValue("method", out var named) && named.ValueKind == JsonValueKind.String
            ? McpMethods.Parse(Encoding.UTF8.GetBytes(Unescape(Raw(named)[1..^1])))
            : McpMethod.None;
        if (method is >= McpMethod.Initialize and <= McpMethod.RootsList && !envelope.ContainsKey("id"))
        {
            return FrameReader.InvalidRequest;
        }

        if (envelope.TryGetValue("params", out var parameters) && parameters.ValueKind == JsonValueKind.Object)
        {
            var known = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            if (!Collect(parameters, ParamKeys, "params.", known)
                || (method is >= McpMethod.ToolsList and <= McpMethod.TasksCancel && HasAlmost(parameters, [.. ParamKeys, "arguments"])))
            {
                return FrameReader.InvalidRequest;
            }

            if (known.TryGetValue("_meta", out var meta) && meta.ValueKind == JsonValueKind.Object)
            {
                IsStateless = meta.EnumerateObject().Any(p => Name(p) == "io.modelcontextprotocol/protocolVersion");
                if (!Collect(meta, ["progressToken"], "params._meta.", []))
                {
                    return FrameReader.InvalidRequest;
                }
            }
        }

        return IsWellFormed(envelope) ? null : FrameReader.InvalidRequest;
    }

    private bool IsWellFormed(Dictionary<string, JsonElement> envelope)
    {
        bool hasMethod = envelope.TryGetValue("method", out var method), hasResult = envelope.TryGetValue("result", out var result);
        bool hasError = envelope.TryGetValue("error", out var error), hasId = envelope.TryGetValue("id", out var id);
        if (!envelope.TryGetValue("jsonrpc", out var version) || Raw(version) != "\"2.0\"")
        {
            return false;
        }

        if (hasId && !IsId(id))
        {
            if (id.ValueKind != JsonValueKind.Null || !hasError || hasMethod)
            {
                return false;
            }

            Places.Remove("id");
        }

        if (hasMethod)
        {
            Kind = hasId ? FrameKind.Request : FrameKind.Notification;
            return method.ValueKind == JsonValueKind.String && Raw(method).Length > 2 && !hasResult && !hasError
                && (!envelope.TryGetValue("params", out var parameters) || parameters.ValueKind == JsonValueKind.Object);
        }

        Kind = hasResult ? FrameKind.Result : FrameKind.Error;
        return hasResult
            ? !hasError && hasId && result.ValueKind == JsonValueKind.Object
            : hasError && error.ValueKind == JsonValueKind.Object
                && error.EnumerateObject().Any(p => Name(p) == "code" && p.Value.ValueKind == JsonValueKind.Number && p.Value.TryGetInt64(out _))
                && error.EnumerateObject().Any(p => Name(p) == "message" && p.Value.ValueKind == JsonValueKind.String);
    }

    public static bool IsId(JsonElement id) =>
        Encoding.UTF8.GetByteCount(Raw(id)) <= 1024
        && (id.ValueKind == JsonValueKind.String || (id.ValueKind == JsonValueKind.Number && Raw(id).All(c => c == '-' || char.IsAsciiDigit(c))));

    /// <returns>False when one of the keys stands twice.</returns>
    private bool Collect(JsonElement owner, string[] keys, string prefix, Dictionary<string, JsonElement> found)
    {
        var once = true;
        foreach (var property in owner.EnumerateObject())
        {
            var name = Name(property);
            if (Array.IndexOf(keys, name) < 0)
            {
                continue;
            }

            once &= found.TryAdd(name, property.Value);
            Places.TryAdd(prefix + name, PlaceOf(property.Value));
        }

        return once;
    }

    private static bool HasAlmost(JsonElement owner, string[] keys) =>
        owner.EnumerateObject().Select(Name).Any(name => !keys.Contains(name, StringComparer.Ordinal)
            && keys.Contains(name.Replace('\u017F', 's').Replace('\u212A', 'k'), StringComparer.OrdinalIgnoreCase));

    private Slice PlaceOf(JsonElement value)
    {
        var raw = JsonMarshal.GetRawUtf8Value(value);
        return _json.AsSpan().Overlaps(raw, out var start)
            ? new Slice(start, raw.Length)
            : throw new InvalidOperationException("The document does not lie over the input.");
    }

    private static string Raw(JsonElement value) => Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(value));

    private static string Name(JsonProperty property) => Unescape(Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8PropertyName(property)));
}
