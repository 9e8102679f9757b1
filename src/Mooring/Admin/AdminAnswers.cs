using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mooring.Auth;

namespace Mooring.Admin;

/// <summary>Answers of the admin endpoints: JSON, kept by nobody on the way.</summary>
internal static class AdminAnswers
{
    /// <summary>
    /// Whether the caller may use an admin endpoint, and with this method; after answering why not where it may not. Where people are known, it
    /// takes an administrator's token, also from the same machine; where nobody is, the caller must be on it.
    /// </summary>
    public static async Task<bool> PassesAsync(HttpContext context, Doorkeeper doorkeeper, params string[] methods)
    {
        context.Response.Headers.CacheControl = "no-store";
        if (!doorkeeper.IsOpen)
        {
            if (!await doorkeeper.EnterAsync(context, Scopes.Admin, context.Request.Path.Value!))
            {
                return false;
            }
        }
        else if (LocalCaller.Refusal(context) is { } why)
        {
            doorkeeper.NoteAdmin(context, "refused", why);
            await RefuseAsync(context, StatusCodes.Status403Forbidden, why);
            return false;
        }

        if (!methods.Contains(context.Request.Method, StringComparer.OrdinalIgnoreCase))
        {
            context.Response.Headers.Allow = string.Join(", ", methods);
            await RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, $"Method {context.Request.Method} is not for this path.");
            return false;
        }

        doorkeeper.NoteAdmin(context, "ok");
        return true;
    }

    public static Task RefuseAsync(HttpContext context, int status, string why)
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string>(StringComparer.Ordinal) { ["error"] = why }));
    }

    public static async Task WriteAsync(HttpContext context, byte[] body)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, CancellationToken.None);
    }
}
