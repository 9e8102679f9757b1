using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>The paths of docs/architecture.md, each with the transport that lives there.</summary>
internal sealed class Endpoints(Gate gate, StreamableHttp streamable, LegacySse legacy, UpstreamTable upstreams, Readiness readiness, FrontDoorServices services)
{
    private static readonly string[] Methods = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "HEAD"];

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/mcp", Methods, context => StreamableAsync(context, server: null, "mcp/messages"));
        routes.MapMethods("/mcp/sse", Methods, context => StreamableAsync(context, server: null, "messages"));
        routes.MapMethods("/sse", Methods, context => SseAsync(context, server: null, "messages"));
        routes.MapMethods("/messages", Methods, context => MessagesAsync(context, server: null));
        routes.MapMethods("/mcp/messages", Methods, context => MessagesAsync(context, server: null));
        // The name that clients of the earlier gateway may still hold.
        routes.MapMethods("/mcp/message", Methods, context => MessagesAsync(context, server: null));
        routes.MapMethods("/servers/{server}/mcp", Methods, context => OneAsync(context, (c, name) => StreamableAsync(c, name, "messages")));
        routes.MapMethods("/servers/{server}/sse", Methods, context => OneAsync(context, (c, name) => SseAsync(c, name, "messages")));
        routes.MapMethods("/servers/{server}/messages", Methods, context => OneAsync(context, MessagesAsync));
    }

    private Task OneAsync(HttpContext context, Func<HttpContext, string, Task> next)
    {
        var name = (string)context.GetRouteValue("server")!;
        return upstreams.Find(name) is null
            ? Answers.RefuseAsync(context, StatusCodes.Status404NotFound, JsonRpc.ServerError, $"There is no server \"{name}\" here.")
            : next(context, name);
    }

    private Task StreamableAsync(HttpContext context, string? server, string endpoint)
    {
        if (!Passes(context, out var refused))
        {
            return refused;
        }

        var method = context.Request.Method;
        if (HttpMethods.IsPost(method))
        {
            return streamable.PostAsync(context, server);
        }

        if (HttpMethods.IsGet(method))
        {
            return !IsLegacyGet(context.Request) ? streamable.GetAsync(context, server)
                : services.TraitsOf(context).GetWithoutSession == SessionlessGetRule.Refuse ? StreamableHttp.MethodNotAllowedAsync(context, "A stream belongs to a session; initialize first.")
                : legacy.GetAsync(context, server, endpoint);
        }

        if (HttpMethods.IsDelete(method))
        {
            return streamable.DeleteAsync(context, server);
        }

        return OthersAsync(context, "GET, POST, DELETE, OPTIONS");
    }

    private Task SseAsync(HttpContext context, string? server, string endpoint)
    {
        if (!Passes(context, out var refused))
        {
            return refused;
        }

        return HttpMethods.IsGet(context.Request.Method) ? legacy.GetAsync(context, server, endpoint) : OthersAsync(context, "GET, OPTIONS");
    }

    private Task MessagesAsync(HttpContext context, string? server)
    {
        if (!Passes(context, out var refused))
        {
            return refused;
        }

        return HttpMethods.IsPost(context.Request.Method) ? legacy.PostAsync(context, server) : OthersAsync(context, "POST, OPTIONS");
    }

    /// <summary>Whether a request may pass; not one of a foreign host or origin, nor one that a stopping gateway could not finish.</summary>
    private bool Passes(HttpContext context, out Task refused)
    {
        refused = Task.CompletedTask;
        if (gate.Check(context) is { } wrong)
        {
            refused = Answers.RefuseAsync(context, StatusCodes.Status403Forbidden, wrong);
            return false;
        }

        if (readiness.IsDraining && !HttpProtocol.IsHttp2(context.Request.Protocol))
        {
            // The next request of this client finds its way to another replica; HTTP/2 says the same with GOAWAY when listening ends.
            context.Response.Headers.Connection = "close";
        }

        if (!readiness.IsClosing)
        {
            return true;
        }

        context.Response.Headers.RetryAfter = "1";
        refused = Answers.RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "The gateway is stopping; try again in a moment.");
        return false;
    }

    private static Task OthersAsync(HttpContext context, string allow)
    {
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            Gate.Preflight(context);
            return Task.CompletedTask;
        }

        context.Response.Headers.Allow = allow;
        return Answers.RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, $"Method {context.Request.Method} is not for this path.");
    }

    /// <summary>A GET that names neither a session nor a place in a stream is the older transport, which earlier deployments had on this path.</summary>
    private static bool IsLegacyGet(HttpRequest request)
    {
        if (request.Headers.ContainsKey("Mcp-Session-Id") || request.Headers["MCP-Protocol-Version"] == ProtocolVersions.Stateless)
        {
            return false;
        }

        var last = request.Headers["Last-Event-ID"];
        return (last.Count == 0 || last[0]?.StartsWith('s') == true)
            && request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase);
    }
}
