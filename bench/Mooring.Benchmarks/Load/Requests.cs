using System.Text;

namespace Mooring.Benchmarks.Load;

/// <summary>The bytes of the requests that the load programs send.</summary>
internal static class Requests
{
    public const string Version = "2025-11-25";

    /// <summary>What each request of 2026-07-28 says of its client; a member of its params.</summary>
    public const string Meta =
        "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" + Stateless + "\",\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1.0.0\"}," +
        "\"io.modelcontextprotocol/clientCapabilities\":{}}";

    private const string Stateless = "2026-07-28";

    public static byte[] Post(Uri url, string? session, string body, string? token = null) => Encoding.UTF8.GetBytes(
        $"POST {url.AbsolutePath} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Type: application/json\r\n" +
        $"Accept: application/json, text/event-stream\r\n{Session(session)}{Bearer(token)}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    /// <summary>A call of 2026-07-28: the version, the method and the tool stand in the headers too.</summary>
    public static byte[] Call(Uri url, string tool, string body) => Encoding.UTF8.GetBytes(
        $"POST {url.AbsolutePath} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Type: application/json\r\n" +
        $"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {Stateless}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n" +
        $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    public static byte[] Get(Uri url, string? session) => Encoding.UTF8.GetBytes(
        $"GET {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nAccept: text/event-stream\r\n{Session(session)}\r\n");

    public static byte[] Delete(Uri url, string session, string? token = null) => Encoding.UTF8.GetBytes(
        $"DELETE {url.AbsolutePath} HTTP/1.1\r\nHost: {url.Authority}\r\n{Session(session)}{Bearer(token)}\r\n");

    public static string Initialize(string client) =>
        $$$$"""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"{{{{Version}}}}","capabilities":{},"clientInfo":{"name":"{{{{client}}}}","version":"1.0.0"}}}""";

    public const string Initialized = """{"jsonrpc":"2.0","method":"notifications/initialized"}""";

    public const string ListTools = """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""";

    private static string Bearer(string? token) => token is null ? "" : $"Authorization: Bearer {token}\r\n";

    private static string Session(string? session) =>
        session is null ? "" : $"Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {Version}\r\n";
}
