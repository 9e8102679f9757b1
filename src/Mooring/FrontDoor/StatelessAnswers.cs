using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;

namespace Mooring.FrontDoor;

/// <summary>
/// Answers as clients of 2026-07-28 get them: what that version wants in each result is put in where it is missing, everything else stays byte
/// for byte as it was said.
/// </summary>
internal static class StatelessAnswers
{
    /// <summary>
    /// Nothing is promised for any time, and nothing is anybody else's: lists are answered from memory at once, and what a client may see can
    /// depend on who it is. A server's own word on either counts (server/utilities/caching).
    /// </summary>
    private static ReadOnlySpan<byte> Ttl => "\"ttlMs\":0,"u8;

    private static ReadOnlySpan<byte> Scope => "\"cacheScope\":\"private\","u8;

    private static ReadOnlySpan<byte> Complete => "\"resultType\":\"complete\","u8;

    /// <summary>What is put into results, by who answers: the same bytes for nearly each of them.</summary>
    private static readonly ConditionalWeakTable<byte[], Words> Said = [];

    /// <param name="answer">The response, with whatever id.</param>
    /// <param name="method">Of the request.</param>
    /// <param name="id">The id that it gets, a raw JSON token.</param>
    /// <param name="serverInfo">Who answers, raw JSON.</param>
    /// <param name="isServers">Whether a server made it, so that a reference for the retry in it is that server's.</param>
    /// <param name="isPrivate">Whether others may not be shown the same, whatever its server says: it knows nothing of the gateway's policies.</param>
    /// <returns>The response, and its HTTP status where it makes a body of its own.</returns>
    public static (Message Response, int Status) Dress(Frame answer, McpMethod method, ReadOnlyMemory<byte> id, byte[] serverInfo, bool isServers = false, bool isPrivate = false)
    {
        if (answer.Kind == FrameKind.Error)
        {
            return DressError(answer, method, id);
        }

        var message = new Message(answer).Replace(answer.Envelope.Id, id);
        var at = answer.Envelope.Result;
        var result = answer.Span(at);
        if (result[0] != '{')
        {
            return (message, StatusCodes.Status200OK);
        }

        var has = Look(result);
        var words = Said.GetValue(serverInfo, static who => new Words(who));
        var info = words.Info;
        var head = IsCacheable(method) && has.IsComplete ? words.Head(has.Type, has.Ttl, has.Scope, has.Meta.IsPresent) : words.Head(has.Type, has.Meta.IsPresent);
        if (head.Length > 0)
        {
            message = message.Replace(new Slice(at.Start + 1, 0), has.IsEmpty ? head.AsMemory(0, head.Length - 1) : head);
        }

        if (isServers && !has.IsComplete && has.StateAt.IsPresent && ParkedCalls.Marked(JsonText.Read(result.Slice(has.StateAt.Start, has.StateAt.Length))) is { } marked)
        {
            message = message.Replace(has.StateAt.Offset(at.Start), JsonText.Quote(marked));
        }

        if (isPrivate && IsCacheable(method) && has.Scope)
        {
            message = message.Replace(has.ScopeAt.Offset(at.Start), "\"private\""u8.ToArray());
        }

        if (has.Meta.IsPresent && result[has.Meta.Start] == '{' && !has.Info)
        {
            var isEmpty = result.Slice(has.Meta.Start + 1, has.Meta.Length - 2).Trim(" \t\r\n"u8).IsEmpty;
            message = message.Replace(new Slice(at.Start + has.Meta.Start + 1, 0), isEmpty ? info : [.. info, (byte)',']);
        }

        return (message, StatusCodes.Status200OK);
    }

    /// <summary>
    /// Codes of older versions that this one forbids become what it has for the same (basic/index, "Error Codes"); the status is the one it asks for
    /// (basic/transports/streamable-http, "Protocol Version Header").
    /// </summary>
    private static (Message Response, int Status) DressError(Frame answer, McpMethod method, ReadOnlyMemory<byte> id)
    {
        var at = answer.Envelope.Error;
        var error = answer.Span(at);
        var codeAt = JsonFields.Find(error, "code"u8);
        var code = codeAt.IsPresent && JsonRpc.TryReadId(error.Slice(codeAt.Start, codeAt.Length), out var number) ? number : 0;
        if (code == JsonRpc.UrlElicitationRequired)
        {
            var why = JsonFields.String(error, "message"u8) ?? "URL elicitation required";
            answer = Frame.Parse(JsonRpc.Error(id.Span, JsonRpc.MissingCapability, why, [.. "{\"requiredCapabilities\":{\"elicitation\":{\"url\":{}}}}"u8]));
            return (new Message(answer), StatusCodes.Status400BadRequest);
        }

        var message = new Message(answer).Replace(answer.Envelope.Id, id);
        if (code == JsonRpc.ResourceNotFound)
        {
            message = message.Replace(codeAt.Offset(at.Start), JsonRpc.InvalidParams);
        }

        return (message, StatusOf(code, method));
    }

    private static int StatusOf(long code, McpMethod method) => code switch
    {
        // A server that has tools means that it has not this one.
        JsonRpc.MethodNotFound when method != McpMethod.ToolsCall => StatusCodes.Status404NotFound,
        JsonRpc.HeaderMismatch or JsonRpc.MissingCapability or JsonRpc.UnsupportedVersion => StatusCodes.Status400BadRequest,
        _ => StatusCodes.Status200OK,
    };

    private static bool IsCacheable(McpMethod method) => method is McpMethod.Discover or McpMethod.ToolsList or McpMethod.PromptsList
        or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList or McpMethod.ResourcesRead;

    private static Found Look(ReadOnlySpan<byte> result)
    {
        var found = new Found { IsEmpty = true, IsComplete = true };
        var reader = new Utf8JsonReader(result, JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            found.IsEmpty = false;
            var key = Key(ref reader);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (key == 't')
            {
                found.Type = true;
                found.IsComplete = reader.TokenType == JsonTokenType.String && JsonText.IsKey(ref reader, "complete"u8);
            }

            reader.Skip();
            found.Ttl |= key == 'l';
            if (key == 'r' && reader.TokenType == JsonTokenType.String)
            {
                found.StateAt = new Slice(start, (int)reader.BytesConsumed - start);
            }

            if (key == 's')
            {
                found.Scope = true;
                found.ScopeAt = new Slice(start, (int)reader.BytesConsumed - start);
            }

            if (key == 'm')
            {
                found.Meta = new Slice(start, (int)reader.BytesConsumed - start);
                found.Info = JsonFields.Has(result.Slice(found.Meta.Start, found.Meta.Length), "io.modelcontextprotocol/serverInfo"u8);
            }
        }

        return found;
    }

    private static char Key(ref Utf8JsonReader reader) =>
        JsonText.IsKey(ref reader, "resultType"u8) ? 't'
        : JsonText.IsKey(ref reader, "ttlMs"u8) ? 'l'
        : JsonText.IsKey(ref reader, "cacheScope"u8) ? 's'
        : JsonText.IsKey(ref reader, "_meta"u8) ? 'm'
        : JsonText.IsKey(ref reader, "requestState"u8) ? 'r'
        : ' ';

    private sealed class Words(byte[] serverInfo)
    {
        private readonly byte[] _meta = [.. "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"u8, .. serverInfo, .. "},"u8];
        private readonly byte[] _completeMeta = [.. Complete, .. "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"u8, .. serverInfo, .. "},"u8];
        private readonly byte[] _complete = Complete.ToArray();

        public byte[] Info { get; } = [.. "\"io.modelcontextprotocol/serverInfo\":"u8, .. serverInfo];

        public byte[] Head(bool hasType, bool hasMeta) => (hasType, hasMeta) switch
        {
            (true, true) => [],
            (true, false) => _meta,
            (false, true) => _complete,
            _ => _completeMeta,
        };

        public byte[] Head(bool hasType, bool hasTtl, bool hasScope, bool hasMeta) =>
            [.. hasType ? default : Complete, .. hasTtl ? default : Ttl, .. hasScope ? default : Scope, .. hasMeta ? [] : _meta];
    }

    private struct Found
    {
        public bool IsEmpty;
        public bool Type;
        public bool IsComplete;
        public bool Ttl;
        public bool Scope;
        public Slice ScopeAt;
        public Slice StateAt;
        public bool Info;
        public Slice Meta;
    }
}
