using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// Which arguments of a server's tools go into headers too (<c>x-mcp-header</c>; 2026-07-28, basic/transports/streamable-http, "Custom Headers from
/// Tool Parameters"). Learnt from each list of tools that passes, whichever link it passes on.
/// </summary>
internal sealed partial class ToolHeaders(ILogger logger)
{
    private static readonly JsonDocumentOptions AnyDepth = new() { MaxDepth = int.MaxValue };

    /// <summary>Keywords under which a schema has further ones, none of which is a parameter of its own.</summary>
    private static readonly string[] Inner =
    [
        "items", "prefixItems", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames",
        "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "$defs", "definitions", "patternProperties", "dependentSchemas",
    ];

    private readonly ConcurrentDictionary<string, Mirrored[]> _tools = new(StringComparer.Ordinal);

    /// <summary>Takes what a list says.</summary>
    /// <returns>The list without the tools whose marks are wrong, which nobody may call; null where it can stay as it is.</returns>
    public byte[]? Learn(ReadOnlySpan<byte> result, string server)
    {
        byte[]? changed = null;
        if (result.IndexOf("x-mcp-header"u8) < 0 && _tools.IsEmpty)
        {
            return null;
        }

        foreach (var at in JsonFields.Elements(result, "tools"u8))
        {
            var raw = result.Slice(at.Start, at.Length);
            if (JsonFields.String(raw, "name"u8) is not { } name)
            {
                continue;
            }

            if (raw.IndexOf("x-mcp-header"u8) < 0)
            {
                _tools.TryRemove(name, out _);
                continue;
            }

            var found = new List<Mirrored>();
            if (Read(raw, found) is { } wrong)
            {
                Log.ToolLeftOut(logger, name, server, wrong);
                changed = WithoutTool(changed ?? result, name);
                _tools.TryRemove(name, out _);
            }
            else if (found.Count > 0)
            {
                _tools[name] = [.. found];
            }
            else
            {
                _tools.TryRemove(name, out _);
            }
        }

        return changed;
    }

    /// <summary>The headers of one call.</summary>
    /// <param name="tool">The server's own name of the tool.</param>
    /// <param name="call">The call.</param>
    /// <param name="headers">Where they go.</param>
    public void Add(string tool, Frame call, HttpContentHeaders headers)
    {
        // Not asked whether there are any: for that the dictionary takes all of its locks.
        if (!_tools.TryGetValue(tool, out var mirrored))
        {
            return;
        }

        var parameters = call.Span(call.Envelope.Params);
        var at = JsonFields.Find(parameters, "arguments"u8);
        if (!at.IsPresent)
        {
            return;
        }

        using var arguments = JsonDocument.Parse(parameters.Slice(at.Start, at.Length).ToArray(), AnyDepth);
        foreach (var (header, path) in mirrored)
        {
            if (Value(arguments.RootElement, path) is { } value)
            {
                headers.TryAddWithoutValidation(header, HeaderText.Encode(value));
            }
        }
    }

    private static string? Value(JsonElement at, string[] path)
    {
        foreach (var name in path)
        {
            if (!JsonText.TryFind(at, name, out at))
            {
                return null;
            }
        }

        return at.ValueKind switch
        {
            JsonValueKind.String => JsonText.Read(at),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            JsonValueKind.Number => at.TryGetInt64(out var number) ? number.ToString(System.Globalization.CultureInfo.InvariantCulture) : at.GetRawText(),
            _ => null,
        };
    }

    /// <returns>What is wrong with the tool, or null.</returns>
    private static string? Read(ReadOnlySpan<byte> tool, List<Mirrored> found)
    {
        using var json = JsonDocument.Parse(tool.ToArray(), AnyDepth);
        return JsonText.TryFind(json.RootElement, "inputSchema", out var schema) ? Read(schema, [], isReachable: true, found) : null;
    }

    private static string? Read(JsonElement schema, string[] path, bool isReachable, List<Mirrored> found)
    {
        if (schema.ValueKind == JsonValueKind.Array)
        {
            return schema.EnumerateArray().Select(one => Read(one, path, isReachable: false, found)).FirstOrDefault(wrong => wrong is not null);
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        foreach (var member in schema.EnumerateObject())
        {
            string? wrong = null;
            var name = JsonText.Name(member);
            if (name == "x-mcp-header")
            {
                wrong = Mark(schema, member.Value, path, isReachable, found);
            }
            else if (name == "properties" && member.Value.ValueKind == JsonValueKind.Object)
            {
                wrong = member.Value.EnumerateObject().Select(p => Read(p.Value, [.. path, JsonText.Name(p)], isReachable, found)).FirstOrDefault(w => w is not null);
            }
            else if (Inner.Contains(name))
            {
                var isMap = name is "$defs" or "definitions" or "patternProperties" or "dependentSchemas" && member.Value.ValueKind == JsonValueKind.Object;
                wrong = isMap
                    ? member.Value.EnumerateObject().Select(p => Read(p.Value, path, isReachable: false, found)).FirstOrDefault(w => w is not null)
                    : Read(member.Value, path, isReachable: false, found);
            }

            if (wrong is not null)
            {
                return wrong;
            }
        }

        return null;
    }

    private static string? Mark(JsonElement schema, JsonElement value, string[] path, bool isReachable, List<Mirrored> found)
    {
        var name = value.ValueKind == JsonValueKind.String ? JsonText.Read(value) : "";
        var header = "Mcp-Param-" + name;
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c)))
        {
            return "an x-mcp-header that is no header name";
        }

        if (!isReachable || path.Length == 0)
        {
            return $"the x-mcp-header \"{name}\" where no parameter is";
        }

        if (!JsonText.TryFind(schema, "type", out var type) || !IsPrimitive(type))
        {
            return $"the x-mcp-header \"{name}\" at a parameter that is neither a string, an integer nor a boolean";
        }

        if (found.Exists(m => m.Header.Equals(header, StringComparison.OrdinalIgnoreCase)))
        {
            return $"the x-mcp-header \"{name}\" twice";
        }

        found.Add(new Mirrored(header, path));
        return null;
    }

    private static bool IsPrimitive(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.String => JsonText.Read(type) is "string" or "integer" or "boolean",
        JsonValueKind.Array => type.GetArrayLength() > 0 && type.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String && JsonText.Read(t) is "string" or "integer" or "boolean" or "null"),
        _ => false,
    };

    private static byte[] WithoutTool(ReadOnlySpan<byte> result, string name)
    {
        var kept = new List<byte>();
        foreach (var at in JsonFields.Elements(result, "tools"u8))
        {
            var raw = result.Slice(at.Start, at.Length);
            if (JsonFields.String(raw, "name"u8) != name)
            {
                kept.Add(kept.Count == 0 ? (byte)'[' : (byte)',');
                kept.AddRange(raw);
            }
        }

        if (kept.Count == 0)
        {
            kept.Add((byte)'[');
        }

        kept.Add((byte)']');
        return JsonFields.Splice(result, JsonFields.Find(result, "tools"u8), kept.ToArray());
    }

    /// <param name="Header">The header.</param>
    /// <param name="Path">Where its value stands among the arguments.</param>
    private sealed record Mirrored(string Header, string[] Path);

    private static partial class Log
    {
        [LoggerMessage(345, LogLevel.Warning, "Tool {Tool} of server {Server} is left out of its list: its inputSchema has {Wrong} (2026-07-28, \"x-mcp-header\").", EventName = "StatelessToolLeftOut")]
        public static partial void ToolLeftOut(ILogger logger, string tool, string server, string wrong);
    }
}
