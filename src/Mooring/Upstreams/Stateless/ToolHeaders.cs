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

    private readonly ConcurrentDictionary<string, ParamMark[]> _tools = new(StringComparer.Ordinal);

    /// <summary>Takes what a list says.</summary>
    /// <returns>The list without the tools whose marks are wrong, which nobody may call; null where it can stay as it is.</returns>
    public byte[]? Learn(ReadOnlySpan<byte> result, string server)
    {
        byte[]? changed = null;
        if (!ParamMark.MayBeIn(result) && _tools.IsEmpty)
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

            if (!ParamMark.MayBeIn(raw))
            {
                _tools.TryRemove(name, out _);
                continue;
            }

            var found = new List<ParamMark>();
            if (ParamMark.Read(raw, found) is { } wrong)
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

    private static partial class Log
    {
        [LoggerMessage(345, LogLevel.Warning, "Tool {Tool} of server {Server} is left out of its list: its inputSchema has {Wrong} (2026-07-28, \"x-mcp-header\").", EventName = "StatelessToolLeftOut")]
        public static partial void ToolLeftOut(ILogger logger, string tool, string server, string wrong);
    }
}
