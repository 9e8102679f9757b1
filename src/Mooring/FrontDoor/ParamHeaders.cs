using System.Globalization;
using System.Runtime.CompilerServices;
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
            if (name.StartsWith(ParamMark.Prefix, StringComparison.OrdinalIgnoreCase))
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
            if (!ParamMark.MayBeIn(raw))
            {
                continue;
            }

            // Where one is wrong, the others are held to all the same: the tool is there to be called.
            var marks = new List<ParamMark>();
            ParamMark.Read(raw, marks);
            if (marks.Count > 0)
            {
                (found ??= new(StringComparer.Ordinal)).TryAdd(item.Name, [.. marks.Select(mark => new Param(mark.Header, [.. mark.Path.Select(System.Text.Encoding.UTF8.GetBytes)]))]);
            }
        }

        return found ?? None;
    }

    private sealed record Param(string Header, byte[][] Path);
}
