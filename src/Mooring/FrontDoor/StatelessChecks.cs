using System.Text;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>Why a request of a client without sessions is not served.</summary>
internal sealed record Refusal(int Status, int Code, string Message, byte[]? Data = null)
{
    public static Refusal Invalid(string message) => new(StatusCodes.Status400BadRequest, JsonRpc.InvalidParams, message);

    public static Refusal Mismatch(string message) => new(StatusCodes.Status400BadRequest, JsonRpc.HeaderMismatch, "Header mismatch: " + message);
}

/// <summary>
/// What is checked of a request of 2026-07-28 before anyone acts on it: its <c>_meta</c> (basic/index, "_meta"), the headers that repeat the body
/// (basic/transports/streamable-http, "Server Validation"), and whether its method is one of that version.
/// </summary>
internal static class StatelessChecks
{
    /// <summary>Newest first: clients take the first that they know.</summary>
    private static readonly byte[] Supported =
        Encoding.ASCII.GetBytes('[' + string.Join(',', ProtocolVersions.All.Reverse().Select(v => $"\"{v.ToWire()}\"")) + ']');

    /// <summary>The versions served here, a JSON array.</summary>
    public static ReadOnlySpan<byte> SupportedVersions => Supported;

    /// <param name="http">The HTTP request.</param>
    /// <param name="request">The request in it.</param>
    /// <param name="isMerged">Whether it is for all servers together: methods that the protocol does not know lead nowhere then.</param>
    /// <returns>Null where nothing is wrong.</returns>
    public static Refusal? Of(HttpRequest http, Frame request, bool isMerged) =>
        OfVersion(http, request) ?? OfMeta(request) ?? OfMethod(http, request, isMerged);

    private static Refusal? OfVersion(HttpRequest http, Frame request)
    {
        var meta = request.ClientMeta;
        var said = http.Headers["MCP-Protocol-Version"];
        if (said.Count == 1 && said[0] == ProtocolVersions.Stateless && meta.ProtocolVersion.IsPresent && request.TextEquals(meta.ProtocolVersion, "2026-07-28"u8))
        {
            return null;
        }

        if (!IsString(request, meta.ProtocolVersion))
        {
            return Refusal.Invalid("params._meta needs a string \"io.modelcontextprotocol/protocolVersion\".");
        }

        var version = request.Text(meta.ProtocolVersion);
        if (MirroredHeader.Read(said, mayBeEncoded: false) is not { } header)
        {
            return Refusal.Mismatch("MCP-Protocol-Version is missing, or is no single header value.");
        }

        if (header != version)
        {
            return Refusal.Mismatch($"MCP-Protocol-Version says \"{header}\" and params._meta says \"{version}\".");
        }

        return version == ProtocolVersions.Stateless
            ? null
            : new Refusal(StatusCodes.Status400BadRequest, JsonRpc.UnsupportedVersion, "Unsupported protocol version",
                [.. "{\"supported\":"u8, .. Supported, .. ",\"requested\":"u8, .. JsonText.Quote(version), (byte)'}']);
    }

    private static Refusal? OfMeta(Frame request)
    {
        var meta = request.ClientMeta;
        if (!IsObject(request, meta.ClientCapabilities))
        {
            return Refusal.Invalid("params._meta needs an object \"io.modelcontextprotocol/clientCapabilities\"; {} where there are none.");
        }

        if (meta.ClientInfo.IsPresent && !IsObject(request, meta.ClientInfo))
        {
            return Refusal.Invalid("\"io.modelcontextprotocol/clientInfo\" in params._meta is no object.");
        }

        return meta.LogLevel.IsPresent && !(IsString(request, meta.LogLevel) && LogLevels.IsLevel(request.Text(meta.LogLevel)))
            ? Refusal.Invalid($"Unknown log level: {request.Text(meta.LogLevel)}")
            : null;
    }

    private static Refusal? OfMethod(HttpRequest http, Frame request, bool isMerged)
    {
        var method = request.Method == McpMethod.ToolsCall ? "tools/call" : request.MethodName;
        if (MirroredHeader.Read(http.Headers["Mcp-Method"], mayBeEncoded: false) is not { } header)
        {
            return Refusal.Mismatch("Mcp-Method is missing, or is no single header value.");
        }

        if (header != method)
        {
            return Refusal.Mismatch($"Mcp-Method says \"{header}\" and the body says \"{method}\".");
        }

        if (!IsServed(request.Method, method, isMerged))
        {
            return new Refusal(StatusCodes.Status404NotFound, JsonRpc.MethodNotFound, $"Method not found: {method}");
        }

        return NameOf(request) is { } name ? OfName(http, request, name) : null;
    }

    private static Refusal? OfName(HttpRequest http, Frame request, Slice name)
    {
        var header = http.Headers["Mcp-Name"];
        if (!IsString(request, name))
        {
            return header.Count == 0 ? null : Refusal.Mismatch("Mcp-Name names something, and the body does not.");
        }

        if (MirroredHeader.Read(header, mayBeEncoded: true) is not { } said)
        {
            return Refusal.Mismatch("Mcp-Name is missing, or is no single header value as it has to be encoded.");
        }

        var raw = request.Span(name)[1..^1];
        if (raw.IndexOf((byte)'\\') < 0 && Ascii.Equals(raw, said))
        {
            return null;
        }

        var text = request.Text(name);
        return said == text ? null : Refusal.Mismatch($"Mcp-Name says \"{said}\" and the body says \"{text}\".");
    }

    /// <summary>What Mcp-Name repeats; null where the method has no such thing.</summary>
    private static Slice? NameOf(Frame request) => request.Method switch
    {
        McpMethod.ToolsCall or McpMethod.PromptsGet => request.Envelope.Name,
        McpMethod.ResourcesRead => request.Envelope.Uri,
        // The tasks extension, "Streamable HTTP: Routing Headers".
        McpMethod.TasksGet or McpMethod.TasksUpdate or McpMethod.TasksCancel => request.Envelope.TaskId,
        _ => null,
    };

    /// <summary>
    /// Those that the version has, and those of the tasks extension. A method of no version is for the one server of its route, which says itself
    /// whether it knows it.
    /// </summary>
    private static bool IsServed(McpMethod method, string name, bool isMerged) => method switch
    {
        McpMethod.Discover or McpMethod.Listen or McpMethod.ToolsList or McpMethod.ToolsCall or McpMethod.PromptsList or McpMethod.PromptsGet
            or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList or McpMethod.ResourcesRead or McpMethod.Complete
            or McpMethod.TasksGet or McpMethod.TasksUpdate or McpMethod.TasksCancel => true,
        McpMethod.Other => !isMerged && !name.StartsWith("notifications/", StringComparison.Ordinal),
        _ => false,
    };

    private static bool IsString(Frame request, Slice at) => at.IsPresent && request.Span(at)[0] == '"';

    private static bool IsObject(Frame request, Slice at) => at.IsPresent && request.Span(at)[0] == '{';
}
