using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Arguments that a tool has its clients repeat as <c>Mcp-Param-*</c> headers (2026-07-28, basic/transports/streamable-http, "Custom Headers from
/// Tool Parameters"). Headers that the tool's schema does not name are let through and mean nothing here.
/// </summary>
internal sealed class ParamHeaders(UpstreamTable upstreams, Views views)
{
    public const string Prefix = "Mcp-Param-";

    private static readonly IReadOnlyDictionary<string, Param[]> None = new Dictionary<string, Param[]>();

    /// <summary>Most lists have none; each is looked through once.</summary>
    private readonly ConditionalWeakTable<ServerList, IReadOnlyDictionary<string, Param[]>> _known = [];

    /// <summary>Whether the headers say what the arguments say; null: they do, else what differs.</summary>
    public string? Differs(Session session, Frame request, IHeaderDictionary headers)
    {
        if (request.Method != McpMethod.ToolsCall || HasNone(session) || Of(session, request.Text(request.Envelope.Name)) is not { Length: > 0 } parameters)
        {
            return null;
        }

        var at = JsonFields.Find(request.Span(request.Envelope.Params), "arguments"u8);
        var arguments = at.IsPresent ? request.Raw(at.Offset(request.Envelope.Params.Start)) : default;
        foreach (var parameter in parameters)
        {
            if (Differs(parameter, arguments.Span, headers) is { } why)
            {
                return why;
            }
        }

        return null;
    }

    private static string? Differs(Param parameter, ReadOnlySpan<byte> arguments, IHeaderDictionary headers)
    {
        var header = headers[parameter.Header];
        var value = Value(arguments, parameter.Path);
        if (value.IsEmpty || value[0] == 'n')
        {
            return header.Count == 0 ? null : $"{parameter.Header} has a value and the argument has none.";
        }

        if (value[0] is (byte)'{' or (byte)'[')
        {
            // Not of the declared type: the server's to say.
            return null;
        }

        if (MirroredHeader.Read(header, mayBeEncoded: true) is not { } said)
        {
            return $"{parameter.Header} is missing, or is no single header value as it has to be encoded.";
        }

        var text = JsonText.Read(value);
        var same = value[0] is (byte)'"' or (byte)'t' or (byte)'f' ? said == text : IsSameNumber(said, text);
        return same ? null : $"{parameter.Header} says \"{said}\" and the argument is \"{text}\".";
    }

    /// <summary>42.0 and 42 are one number.</summary>
    private static bool IsSameNumber(string a, string b) =>
        decimal.TryParse(a, NumberStyles.Float, CultureInfo.InvariantCulture, out var x) && decimal.TryParse(b, NumberStyles.Float, CultureInfo.InvariantCulture, out var y)
            ? x == y
            : a == b;

    private static ReadOnlySpan<byte> Value(ReadOnlySpan<byte> json, byte[][] path)
    {
        foreach (var key in path)
        {
            var at = JsonFields.Find(json, key);
            if (!at.IsPresent)
            {
                return default;
            }

            json = json.Slice(at.Start, at.Length);
        }

        return json;
    }

    /// <summary>Those that came with a request, whatever they mean.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> In(IHeaderDictionary headers)
    {
        List<KeyValuePair<string, string>>? found = null;
        foreach (var (name, value) in headers)
        {
            if (name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            {
                (found ??= []).Add(new(name, value.ToString()));
            }
        }

        return found ?? (IReadOnlyList<KeyValuePair<string, string>>)[];
    }

    /// <summary>Whether no tool of the one server of a route has any.</summary>
    private bool HasNone(Session session) =>
        session.Server is { } name && upstreams.Find(name) is { } only && (views.Known(session, only, ListKind.Tools) is not { } list || _known.GetValue(list, Read).Count == 0);

    private Param[]? Of(Session session, string shown)
    {
        var place = session.Server is { } name
            ? upstreams.Find(name) is { } only ? new Place(only, shown) : (Place?)null
            : views.Find(session, ListKind.Tools, shown);
        return place is { } found && views.Known(session, found.Upstream, ListKind.Tools) is { } list
            ? _known.GetValue(list, Read).GetValueOrDefault(found.Name)
            : null;
    }

    private static IReadOnlyDictionary<string, Param[]> Read(ServerList list)
    {
        Dictionary<string, Param[]>? found = null;
        foreach (var item in list.Items)
        {
            var raw = list.Raw(item);
            if (raw.IndexOf("x-mcp-header"u8) < 0)
            {
                continue;
            }

            using var tool = JsonDocument.Parse(raw.ToArray(), new JsonDocumentOptions { MaxDepth = int.MaxValue });
            var parameters = new List<Param>();
            if (JsonText.TryFind(tool.RootElement, "inputSchema", out var schema))
            {
                Collect(schema, [], parameters);
            }

            if (parameters.Count > 0)
            {
                (found ??= new(StringComparer.Ordinal)).TryAdd(item.Name, [.. parameters]);
            }
        }

        return found ?? None;
    }

    /// <summary>Along <c>properties</c> alone, and only of simple types: elsewhere the annotation means nothing ("Schema Extension").</summary>
    private static void Collect(JsonElement schema, byte[][] path, List<Param> found)
    {
        if (!JsonText.TryFind(schema, "properties", out var properties) || properties.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var property in properties.EnumerateObject())
        {
            byte[][] here = [.. path, System.Text.Encoding.UTF8.GetBytes(JsonText.Name(property))];
            if (JsonText.TryFind(property.Value, "x-mcp-header", out var header) && header.ValueKind == JsonValueKind.String && JsonText.Read(header) is var name && IsToken(name)
                && JsonText.TryFind(property.Value, "type", out var type) && type.ValueKind == JsonValueKind.String && JsonText.Read(type) is "string" or "integer" or "boolean")
            {
                found.Add(new Param(Prefix + name, here));
            }

            Collect(property.Value, here, found);
        }
    }

    private static bool IsToken(string text) => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));

    private sealed record Param(string Header, byte[][] Path);
}
