using System.Net;
using Microsoft.AspNetCore.Http;

namespace Mooring.Admin;

/// <summary>
/// Who may use the admin endpoints while nobody can sign in: programs on the gateway's own machine. Not what a proxy there forwards, and not
/// a web page in a browser there, whatever <c>origins</c> and <c>hosts</c> allow on the MCP paths.
/// </summary>
internal static class LocalCaller
{
    /// <summary>What proxies add, and what the host puts in their place once it has believed them.</summary>
    private static readonly string[] Forwarding =
    [
        "Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-For", "X-Original-Host", "X-Original-Proto",
    ];

    /// <returns>Why the request is refused, or null when it may pass.</returns>
    public static string? Refusal(HttpContext context)
    {
        var request = context.Request;
        if (context.Connection.RemoteIpAddress is not { } address || !IPAddress.IsLoopback(address))
        {
            return "This is for programs on the gateway's own machine; connect to a loopback address.";
        }

        if (Array.Find(Forwarding, request.Headers.ContainsKey) is { } forwarded)
        {
            return $"This is for programs on the gateway's own machine, and the request was forwarded ({forwarded}).";
        }

        // A page of any name can have that name lead to this machine.
        if (!IsLoopback(request.Host.Host))
        {
            return "The Host of this request is not a loopback name.";
        }

        // Browsers name themselves by one of the two; a request they send without both is one that changes nothing.
        return request.Headers.Origin.Count > 0 || (request.Headers["Sec-Fetch-Site"] is { Count: > 0 } site && site != "none")
            ? "Web pages may not use this."
            : null;
    }

    private static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
