using System.Text;

namespace Mooring.Protocol;

/// <summary>
/// What a client of an older version would fail at, in words that it knows: kinds of content that came later, and structured results and schemas that are no objects. Fields that
/// came later stay: all versions allow unknown ones. Whatever needs no change stays byte for byte.
/// </summary>
internal static class OlderClients
{
    /// <summary>An answer as a client of the version can read it; null where it is that already.</summary>
    /// <param name="version">The client's.</param>
    /// <param name="method">Of its request.</param>
    /// <param name="answer">The response.</param>
    public static byte[]? Answer(ProtocolVersion version, McpMethod method, Frame answer)
    {
        if (answer.Kind != FrameKind.Result || method is not (McpMethod.ToolsCall or McpMethod.PromptsGet) || !MayConcern(version, answer.Bytes))
        {
            return null;
        }

        var at = answer.Envelope.Result;
        var result = answer.Span(at);
        var changed = method == McpMethod.PromptsGet ? Messages(version, result) : ToolResult(version, result);
        return changed is null ? null : JsonFields.Splice(answer.Bytes, at, changed);
    }

    /// <summary>A server's <c>sampling/createMessage</c> as a client of the version can read it; null where it is that already.</summary>
    public static byte[]? Question(ProtocolVersion version, Frame request)
    {
        if (request.Method != McpMethod.CreateMessage || version.HasAudio() || !request.Envelope.Params.IsPresent || !MayConcern(version, request.Bytes))
        {
            return null;
        }

        var at = request.Envelope.Params;
        return Messages(version, request.Span(at)) is { } changed ? JsonFields.Splice(request.Bytes, at, changed) : null;
    }

    /// <summary>A tool of a list without its <c>outputSchema</c>, where that describes no object: only 2026-07-28 has such. Null where nothing is to be changed.</summary>
    public static byte[]? Tool(ReadOnlySpan<byte> tool)
    {
        if (tool.IndexOf("outputSchema"u8) < 0)
        {
            return null;
        }

        var schema = JsonFields.Find(tool, "outputSchema"u8);
        return !schema.IsPresent || JsonFields.String(tool.Slice(schema.Start, schema.Length), "type"u8) == "object" ? null : JsonFields.Without(tool, "outputSchema"u8);
    }

    private static bool MayConcern(ProtocolVersion version, ReadOnlySpan<byte> message) =>
        version.WantsObjects() ? message.IndexOf("structuredContent"u8) >= 0
        : (!version.HasResourceLinks() && message.IndexOf("resource_link"u8) >= 0) || (!version.HasAudio() && message.IndexOf("audio"u8) >= 0);

    private static byte[]? ToolResult(ProtocolVersion version, ReadOnlySpan<byte> result)
    {
        if (version.WantsObjects())
        {
            return Structured(result);
        }

        byte[]? changed = null;
        foreach (var block in Enumerable.Reverse(JsonFields.Elements(result, "content"u8)))
        {
            // From the back, so that the places of those before it stay.
            if (Block(version, result.Slice(block.Start, block.Length)) is { } text)
            {
                changed = JsonFields.Splice(changed ?? result, block, text);
            }
        }

        return changed;
    }

    /// <summary>A structured result that is no object goes; where the server gave no content besides it, it becomes that.</summary>
    private static byte[]? Structured(ReadOnlySpan<byte> result)
    {
        var at = JsonFields.Find(result, "structuredContent"u8);
        if (!at.IsPresent || result[at.Start] == '{')
        {
            return null;
        }

        var value = Encoding.UTF8.GetString(result.Slice(at.Start, at.Length));
        var rest = JsonFields.Without(result, "structuredContent"u8);
        if (JsonFields.Elements(rest, "content"u8).Count > 0)
        {
            return rest;
        }

        byte[] content = [(byte)'[', .. TextBlock(value), (byte)']'];
        var empty = JsonFields.Find(rest, "content"u8);
        return empty.IsPresent ? JsonFields.Splice(rest, empty, content) : JsonFields.Prepend(rest, [.. "\"content\":"u8, .. content]);
    }

    private static byte[]? Messages(ProtocolVersion version, ReadOnlySpan<byte> holder)
    {
        byte[]? changed = null;
        foreach (var message in Enumerable.Reverse(JsonFields.Elements(holder, "messages"u8)))
        {
            var content = JsonFields.Find(holder.Slice(message.Start, message.Length), "content"u8).Offset(message.Start);
            if (content.Length > 0 && Block(version, holder.Slice(content.Start, content.Length)) is { } text)
            {
                changed = JsonFields.Splice(changed ?? holder, content, text);
            }
        }

        return changed;
    }

    /// <summary>The text that stands for a block of a kind that the version does not know; null for all others.</summary>
    private static byte[]? Block(ProtocolVersion version, ReadOnlySpan<byte> block) => JsonFields.String(block, "type"u8) switch
    {
        "audio" when !version.HasAudio() => TextBlock($"[Audio ({JsonFields.String(block, "mimeType"u8) ?? "of unknown type"}) that this client cannot take.]"),
        "resource_link" when !version.HasResourceLinks() => TextBlock(Link(block)),
        _ => null,
    };

    private static string Link(ReadOnlySpan<byte> block)
    {
        var (name, type, what) = (JsonFields.String(block, "title"u8) ?? JsonFields.String(block, "name"u8), JsonFields.String(block, "mimeType"u8), JsonFields.String(block, "description"u8));
        return $"[Resource {name}: {JsonFields.String(block, "uri"u8)}{(type is null ? "" : $" ({type})")}]{(what is null ? "" : " " + what)}";
    }

    private static byte[] TextBlock(string text) => [.. "{\"type\":\"text\",\"text\":"u8, .. JsonText.Quote(text), (byte)'}'];
}
