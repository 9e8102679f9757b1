using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>Refusals of the front door: a JSON-RPC error with the HTTP status that the transport asks for.</summary>
internal static class Answers
{
    /// <summary>Seconds after which a client may try again what the store did not take.</summary>
    public const string StoreRetryAfter = "2";

    /// <summary>The same where others of its own calls have to end first: nobody knows when.</summary>
    public const string CrowdedRetryAfter = "1";

    public static Task RefuseAsync(HttpContext context, int status, int code, string message, ReadOnlySpan<byte> id = default) =>
        WriteAsync(context, status, JsonRpc.Error(id, code, message));

    public static Task RefuseAsync(HttpContext context, int status, string message) =>
        RefuseAsync(context, status, JsonRpc.ServerError, message);

    /// <summary>No session to go on with.</summary>
    public static Task MissAsync(HttpContext context, SessionMiss miss, ReadOnlySpan<byte> id = default)
    {
        switch (miss)
        {
            case SessionMiss.StoreAway:
                context.Response.Headers.RetryAfter = StoreRetryAfter;
                return WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
                    JsonRpc.Error(id, JsonRpc.ServerError, "The gateway's store is not reachable just now; the session is not lost. Try again."));
            case SessionMiss.TooMany:
                context.Response.Headers.RetryAfter = "30";
                return WriteAsync(context, StatusCodes.Status429TooManyRequests,
                    JsonRpc.Error(id, JsonRpc.ServerError, "Too many sessions (limits.sessions, limits.allSessions, limits.sessionsPerUser)."));
            default:
                return WriteAsync(context, StatusCodes.Status404NotFound,
                    JsonRpc.Error(id, -32001, "Session not found: it is unknown, ended or expired. Initialize a new one."));
        }
    }

    public static async Task WriteAsync(HttpContext context, int status, byte[] body)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, CancellationToken.None);
    }
}
