using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>The paths of docs/architecture.md, each with the transport that lives there.</summary>
internal sealed class Endpoints(
    Gate gate, Doorkeeper doorkeeper, StreamableHttp streamable, LegacySse legacy, UpstreamTable upstreams, PolicyTable policies, Readiness readiness, FrontDoorServices services)
{
    private static readonly string[] Methods = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "HEAD"];

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/mcp", Methods, context => EnterAsync(context, Door.Streamable, server: null, "mcp/messages"));
        routes.MapMethods("/mcp/sse", Methods, context => EnterAsync(context, Door.Streamable, server: null, "messages"));
        routes.MapMethods("/sse", Methods, context => EnterAsync(context, Door.Sse, server: null, "messages"));
        routes.MapMethods("/messages", Methods, context => EnterAsync(context, Door.Messages, server: null));
        routes.MapMethods("/mcp/messages", Methods, context => EnterAsync(context, Door.Messages, server: null));
        // The name that clients of the earlier gateway may still hold.
        routes.MapMethods("/mcp/message", Methods, context => EnterAsync(context, Door.Messages, server: null));
        routes.MapMethods("/servers/{server}/mcp", Methods, context => EnterAsync(context, Door.Streamable, NameOf(context), "messages"));
        routes.MapMethods("/servers/{server}/sse", Methods, context => EnterAsync(context, Door.Sse, NameOf(context), "messages"));
        routes.MapMethods("/servers/{server}/messages", Methods, context => EnterAsync(context, Door.Messages, NameOf(context)));
    }

    private static string NameOf(HttpContext context) => (string)context.GetRouteValue("server")!;

    /// <summary>First where a request is from, then whose it is, then what it wants.</summary>
    private Task EnterAsync(HttpContext context, Door door, string? server, string endpoint = "")
    {
        if (!Passes(context, out var refused))
        {
            return refused;
        }

        if (HttpMethods.IsOptions(context.Request.Method))
        {
            // Browsers ask this before they show who somebody is.
            Gate.Preflight(context);
            return Task.CompletedTask;
        }

        return doorkeeper.TryEnter(context, Scopes.Use, context.Request.Path.Value!, out var otherwise)
            ? ServeAsync(context, door, server, endpoint)
            : AwaitAsync(otherwise, context, door, server, endpoint);
    }

    private async Task AwaitAsync(Task<bool> entering, HttpContext context, Door door, string? server, string endpoint)
    {
        if (await entering)
        {
            await ServeAsync(context, door, server, endpoint);
        }
    }

    private Task ServeAsync(HttpContext context, Door door, string? server, string endpoint) =>
        server is not null && upstreams.Find(server) is null
            ? Answers.RefuseAsync(context, StatusCodes.Status404NotFound, JsonRpc.ServerError, $"There is no server \"{server}\" here.")
            : server is not null && !policies.IsEmpty && policies.Of(context).Hides(server)
            ? DenyAsync(context, server)
            : door switch
            {
                Door.Streamable => StreamableAsync(context, server, endpoint),
                Door.Sse => HttpMethods.IsGet(context.Request.Method) ? legacy.GetAsync(context, server, endpoint) : OthersAsync(context, "GET, OPTIONS"),
                _ => HttpMethods.IsPost(context.Request.Method) ? legacy.PostAsync(context, server) : OthersAsync(context, "POST, OPTIONS"),
            };

    private Task DenyAsync(HttpContext context, string server)
    {
        services.NoteDenied(context, server);
        return Answers.RefuseAsync(context, StatusCodes.Status403Forbidden, JsonRpc.ServerError, $"The policies of this gateway do not let you use the server \"{server}\".");
    }

    private Task StreamableAsync(HttpContext context, string? server, string endpoint)
    {
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

        return HttpMethods.IsDelete(method) ? streamable.DeleteAsync(context, server) : OthersAsync(context, "GET, POST, DELETE, OPTIONS");
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
            && request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase) && Media.AcceptsOf(request).HasFlag(Accepts.EventStream);
    }

    /// <summary>The transports.</summary>
    private enum Door
    {
        Streamable,
        Sse,
        Messages,
    }
}
