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
        if (request.Method != McpMethod.CreateMessage || version.HasToolsInSampling() || !request.Envelope.Params.IsPresent)
        {
            return null;
        }

        var at = request.Envelope.Params;
        return Sampled(version, request.Span(at)) is { } changed ? JsonFields.Splice(request.Bytes, at, changed) : null;
    }

    /// <summary>
    /// Whether a server's <c>sampling/createMessage</c> wants what cannot be said in the client's version: that tools be called. A client that does not declare
    /// them has to refuse it (2025-11-25, schema, "CreateMessageRequestParams").
    /// </summary>
    public static bool CannotBeAsked(ProtocolVersion version, Frame request)
    {
        if (request.Method != McpMethod.CreateMessage || version.HasToolsInSampling() || !request.Envelope.Params.IsPresent)
        {
            return false;
        }

        var parameters = request.Span(request.Envelope.Params);
        return JsonFields.Has(parameters, "tools"u8) || JsonFields.Has(parameters, "toolChoice"u8);
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

    /// <summary>What is to be sampled, with one block in each message: one of several becomes several messages.</summary>
    private static byte[]? Sampled(ProtocolVersion version, ReadOnlySpan<byte> parameters)
    {
        byte[]? changed = null;
        foreach (var place in Enumerable.Reverse(JsonFields.Elements(parameters, "messages"u8)))
        {
            var message = parameters.Slice(place.Start, place.Length);
            var content = JsonFields.Find(message, "content"u8);
            if (!content.IsPresent)
            {
                continue;
            }

            var first = message[content.Start];
            var one = first == '[' ? Split(version, message, content) : Block(version, message.Slice(content.Start, content.Length)) is { } text ? JsonFields.Splice(message, content, text) : null;
            changed = one is null ? changed : JsonFields.Splice(changed ?? parameters, place, one);
        }

        return changed;
    }

    private static byte[] Split(ProtocolVersion version, ReadOnlySpan<byte> message, Slice content)
    {
        var messages = new List<byte>();
        foreach (var at in JsonFields.Elements(message, "content"u8))
        {
            var block = message.Slice(at.Start, at.Length);
            messages.AddRange(messages.Count > 0 ? ","u8 : default);
            messages.AddRange(JsonFields.Splice(message, content, Block(version, block) ?? block));
        }

        // One without any block still has its turn.
        return messages.Count > 0 ? [.. messages] : JsonFields.Splice(message, content, TextBlock(""));
    }

    /// <summary>The text that stands for a block of a kind that the version does not know; null for all others.</summary>
    private static byte[]? Block(ProtocolVersion version, ReadOnlySpan<byte> block) => JsonFields.String(block, "type"u8) switch
    {
        "audio" when !version.HasAudio() => TextBlock($"[Audio ({JsonFields.String(block, "mimeType"u8) ?? "of unknown type"}) that this client cannot take.]"),
        "resource_link" when !version.HasResourceLinks() => TextBlock(Link(block)),
        "tool_use" when !version.HasToolsInSampling() => TextBlock($"[Call of the tool {JsonFields.String(block, "name"u8)}: {Encoding.UTF8.GetString(JsonFields.Object(block, "input"u8))}]"),
        "tool_result" when !version.HasToolsInSampling() => TextBlock($"[Result of a tool: {ToolText(block)}]"),
        _ => null,
    };

    /// <summary>What a tool gave, as far as it is text; of the rest its kind.</summary>
    private static string ToolText(ReadOnlySpan<byte> result)
    {
        var texts = new List<string>();
        foreach (var at in JsonFields.Elements(result, "content"u8))
        {
            var block = result.Slice(at.Start, at.Length);
            texts.Add(JsonFields.String(block, "text"u8) ?? $"({JsonFields.String(block, "type"u8)})");
        }

        return string.Join('\n', texts);
    }

    private static string Link(ReadOnlySpan<byte> block)
    {
        var (name, type, what) = (JsonFields.String(block, "title"u8) ?? JsonFields.String(block, "name"u8), JsonFields.String(block, "mimeType"u8), JsonFields.String(block, "description"u8));
        return $"[Resource {name}: {JsonFields.String(block, "uri"u8)}{(type is null ? "" : $" ({type})")}]{(what is null ? "" : " " + what)}";
    }

    private static byte[] TextBlock(string text) => [.. "{\"type\":\"text\",\"text\":"u8, .. JsonText.Quote(text), (byte)'}'];
}
