using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mooring.Auth;

/// <summary>
/// Answers in JSON to programs of any origin: metadata is public, and the token endpoints know a caller by what it sends, never by a cookie. So web
/// pages of any origin may use them (they are clients too), whatever <c>origins</c> says of the MCP paths.
/// </summary>
internal static class OpenAnswers
{
    /// <summary>Answers what a browser asks before it sends a request; false where it is no such question.</summary>
    public static bool Preflight(HttpContext context, string allow)
    {
        if (!HttpMethods.IsOptions(context.Request.Method))
        {
            return false;
        }

        var headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = "*";
        headers.AccessControlAllowMethods = allow;
        headers.AccessControlAllowHeaders = "Content-Type, Authorization, MCP-Protocol-Version";
        headers.AccessControlMaxAge = "600";
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return true;
    }

    /// <summary>A document that only GET asks for.</summary>
    public static Task AnswerAsync(HttpContext context, JsonObject document)
    {
        if (Preflight(context, "GET, OPTIONS"))
        {
            return Task.CompletedTask;
        }

        if (HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET, OPTIONS";
            return RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, "invalid_request", "Ask with GET.");
        }

        context.Response.Headers.CacheControl = "max-age=300";
        return WriteAsync(context, StatusCodes.Status200OK, document);
    }

    /// <summary>An error as OAuth writes it (RFC 6749, 5.2).</summary>
    public static Task RefuseAsync(HttpContext context, int status, string error, string why)
    {
        context.Response.Headers.CacheControl = "no-store";
        return WriteAsync(context, status, new JsonObject { ["error"] = error, ["error_description"] = why });
    }

    public static async Task WriteAsync(HttpContext context, int status, JsonObject document)
    {
        var body = System.Text.Encoding.UTF8.GetBytes(document.ToJsonString());
        context.Response.StatusCode = status;
        context.Response.Headers.AccessControlAllowOrigin = "*";
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(HttpMethods.IsHead(context.Request.Method) ? ReadOnlyMemory<byte>.Empty : body, CancellationToken.None);
    }
}
