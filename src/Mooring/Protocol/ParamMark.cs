using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>
/// An argument of a tool that goes into a header too (<c>x-mcp-header</c> in its <c>inputSchema</c>; 2026-07-28, basic/transports/streamable-http, "Custom
/// Headers from Tool Parameters"). Read in one way for both sides: what servers are told, and what clients have to say.
/// </summary>
/// <param name="Header">The header, with its prefix.</param>
/// <param name="Path">Where its value stands among the arguments.</param>
internal sealed record ParamMark(string Header, string[] Path)
{
    public const string Prefix = "Mcp-Param-";

    private const string Key = "x-mcp-header";

    private static readonly JsonDocumentOptions AnyDepth = new() { MaxDepth = int.MaxValue };

    /// <summary>Keywords under which a schema has further ones, none of which is a parameter of its own.</summary>
    private static readonly string[] Inner =
    [
        "items", "prefixItems", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames",
        "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "$defs", "definitions", "patternProperties", "dependentSchemas",
    ];

    /// <summary>Whether a tool, or a list of tools, may have any at all.</summary>
    public static bool MayBeIn(ReadOnlySpan<byte> json) => json.IndexOf("x-mcp-header"u8) >= 0;

    /// <summary>Reads the marks of a tool.</summary>
    /// <param name="tool">The tool as its server lists it, raw JSON.</param>
    /// <param name="found">Gets those that mean something.</param>
    /// <returns>What is wrong with the first of the others, in words; null where there is none.</returns>
    public static string? Read(ReadOnlySpan<byte> tool, List<ParamMark> found)
    {
        using var json = JsonDocument.Parse(tool.ToArray(), AnyDepth);
        return JsonText.TryFind(json.RootElement, "inputSchema", out var schema) ? Read(schema, [], isReachable: true, found) : null;
    }

    private static string? Read(JsonElement schema, string[] path, bool isReachable, List<ParamMark> found)
    {
        if (schema.ValueKind == JsonValueKind.Array)
        {
            return First(schema.EnumerateArray().Select(one => Read(one, path, isReachable: false, found)));
        }

        return schema.ValueKind == JsonValueKind.Object ? First(schema.EnumerateObject().Select(member => Read(schema, member, path, isReachable, found))) : null;
    }

    private static string? Read(JsonElement schema, JsonProperty member, string[] path, bool isReachable, List<ParamMark> found)
    {
        var name = JsonText.Name(member);
        if (name == Key)
        {
            return Mark(schema, member.Value, path, isReachable, found);
        }

        if (name == "properties" && member.Value.ValueKind == JsonValueKind.Object)
        {
            return First(member.Value.EnumerateObject().Select(p => Read(p.Value, [.. path, JsonText.Name(p)], isReachable, found)));
        }

        if (!Inner.Contains(name))
        {
            return null;
        }

        return name is "$defs" or "definitions" or "patternProperties" or "dependentSchemas" && member.Value.ValueKind == JsonValueKind.Object
            ? First(member.Value.EnumerateObject().Select(p => Read(p.Value, path, isReachable: false, found)))
            : Read(member.Value, path, isReachable: false, found);
    }

    /// <summary>All of them are looked at, whatever is wrong with one.</summary>
    private static string? First(IEnumerable<string?> wrongs) => wrongs.ToList().Find(wrong => wrong is not null);

    private static string? Mark(JsonElement schema, JsonElement value, string[] path, bool isReachable, List<ParamMark> found)
    {
        var name = value.ValueKind == JsonValueKind.String ? JsonText.Read(value) : "";
        var header = Prefix + name;
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

        if (found.Exists(mark => mark.Header.Equals(header, StringComparison.OrdinalIgnoreCase)))
        {
            return $"the x-mcp-header \"{name}\" twice";
        }

        found.Add(new ParamMark(header, path));
        return null;
    }

    /// <summary>A parameter that may be left out by saying null is one of these all the same: a null has no header.</summary>
    private static bool IsPrimitive(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.String => JsonText.Read(type) is "string" or "integer" or "boolean",
        JsonValueKind.Array => type.GetArrayLength() > 0 && type.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String && JsonText.Read(t) is "string" or "integer" or "boolean" or "null"),
        _ => false,
    };
}
