using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.Chaos.Servers;

/// <summary>
/// The server of 2026-07-28 alone, which has no sessions: each POST stands for itself, and changes are told to whoever listens just then. A process of
/// its own so that it can be killed. On <c>/control</c> the stand tells it to hang and to go on.
/// </summary>
internal sealed class StatelessServer : IDisposable
{
    private const string Version = "2026-07-28";
    private const string State = "asked";
    private const string TasksExtension = "io.modelcontextprotocol/tasks";

    private readonly ConcurrentDictionary<Channel<bool>, bool> _listeners = [];
    private readonly Halt _halt = new();
    private readonly Ledger _ledger;
    private readonly Errands _errands;

    private StatelessServer(string ledgers) => _errands = new Errands(_ledger = new Ledger(ledgers));

    public static async Task<int> RunAsync(int port, string ledgers)
    {
        using var server = new StatelessServer(ledgers);
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var app = builder.Build();
        app.MapPost("/mcp", server.PostAsync);
        app.MapPost("/control/{order}", server.ControlAsync);
        await app.StartAsync();
        await Console.Out.WriteLineAsync("ready");
        // Its starter holds the other end: it ends with whoever started it.
        while (await Console.In.ReadLineAsync() is not null)
        {
        }

        return 0;
    }

    public void Dispose() => _ledger.Dispose();

    private async Task ControlAsync(HttpContext context)
    {
        var count = 0L;
        switch ((string?)context.Request.RouteValues["order"])
        {
            case "hang":
                _halt.Begin();
                break;
            case "resume":
                count = _halt.End();
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }

        await context.Response.WriteAsync($"{count}");
    }

    private async Task PostAsync(HttpContext context)
    {
        await _halt.MayGoOnAsync(context.RequestAborted);
        var message = (await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted))!.AsObject();
        if (message["id"] is null || (string?)message["method"] is not { } method)
        {
            context.Response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        if (method is not ("server/discover" or "tools/list" or "tools/call" or "subscriptions/listen" or "tasks/get" or "tasks/update" or "tasks/cancel"))
        {
            await RefuseAsync(context, message, StatusCodes.Status404NotFound, -32601, "Method not found");
            return;
        }

        // Nothing is done for a request that does not say twice, and both times the same, what it is.
        var parameters = message["params"];
        var named = method == "tools/call" ? (string?)parameters?["name"] : method.StartsWith("tasks/", StringComparison.Ordinal) ? (string?)parameters?["taskId"] : null;
        if ((string?)parameters?["_meta"]?["io.modelcontextprotocol/protocolVersion"] != Version || context.Request.Headers["MCP-Protocol-Version"] != Version
            || context.Request.Headers["Mcp-Method"] != method || (named is not null && context.Request.Headers["Mcp-Name"] != named))
        {
            await RefuseAsync(context, message, StatusCodes.Status400BadRequest, -32020, "Headers and body do not match");
            return;
        }

        await (method == "subscriptions/listen" ? ListenAsync(context, message) : AnswerAsync(context, message, method, named));
    }

    private async Task AnswerAsync(HttpContext context, JsonObject message, string method, string? named)
    {
        var tool = method == "tools/call" ? named : null;
        var streams = tool == "slow";
        context.Response.ContentType = streams ? "text/event-stream" : "application/json";
        var result = Tools.Result(method, message);
        if (named is not null && tool is null)
        {
            if (_errands.Find(message) is not { } errand)
            {
                await context.Response.WriteAsync(Tools.Refusal(message, -32602, Errands.Forgotten));
                return;
            }

            result = StateOf(errand, method);
        }
        else if (method == "server/discover")
        {
            result["capabilities"]!["extensions"] = new JsonObject { [TasksExtension] = new JsonObject() };
        }
        else if (tool == Errands.Tool && message["params"]!["_meta"]!["io.modelcontextprotocol/clientCapabilities"]?["extensions"]?[TasksExtension] is not null)
        {
            result = _errands.Begin(message).State("Ms");
            result["resultType"] = "task";
        }
        else if (tool == "ask" && Unasked(message["params"]!) is { } other)
        {
            result = other;
        }
        else if (tool is not null)
        {
            await Tools.ExecuteAsync(message, _ledger, related => SendAsync(context, related.ToJsonString()), _ => Task.CompletedTask, context.RequestAborted);
            result = Tools.Result(method, message);
        }

        if (tool == "change")
        {
            foreach (var (listener, _) in _listeners)
            {
                listener.Writer.TryWrite(true);
            }
        }

        result["resultType"] ??= "complete";
        var answer = Tools.Answer(message, result);
        await (streams ? SendAsync(context, answer) : context.Response.WriteAsync(answer));
    }

    /// <summary>The answer to a request about a task: how it is doing, with its result once it has one; nothing but that it was heard for the rest.</summary>
    private static JsonObject StateOf(Errand errand, string method)
    {
        if (method == "tasks/cancel")
        {
            errand.Cancel();
        }

        if (method != "tasks/get")
        {
            return [];
        }

        var state = errand.State("Ms");
        if ((string?)state["status"] == "completed")
        {
            var result = errand.Result;
            result["resultType"] = "complete";
            state["result"] = result;
        }

        return state;
    }

    /// <summary>The answer to an <c>ask</c> that is not to be executed: what is asked first, or that the client did not agree.</summary>
    private static JsonObject? Unasked(JsonNode parameters) =>
        (string?)parameters["requestState"] != State
            ? new JsonObject { ["resultType"] = "input_required", ["inputRequests"] = new JsonObject { ["sure"] = Tools.Question }, ["requestState"] = State }
            : Tools.Agrees(parameters["inputResponses"]?["sure"]) ? null : Tools.Declined();

    private async Task ListenAsync(HttpContext context, JsonObject message)
    {
        var tag = new JsonObject { ["io.modelcontextprotocol/subscriptionId"] = message["id"]!.DeepClone() };
        var wanted = (bool?)message["params"]!["notifications"]?["toolsListChanged"] == true;
        var changes = Channel.CreateUnbounded<bool>();
        // Before it is said: what changes from then on is told.
        _listeners[changes] = true;
        try
        {
            context.Response.ContentType = "text/event-stream";
            await SendAsync(context, Tools.Notification("notifications/subscriptions/acknowledged", new JsonObject
            {
                ["_meta"] = tag.DeepClone(),
                ["notifications"] = wanted ? new JsonObject { ["toolsListChanged"] = true } : [],
            }).ToJsonString());
            await foreach (var _ in changes.Reader.ReadAllAsync(context.RequestAborted))
            {
                if (wanted)
                {
                    await SendAsync(context, Tools.Notification("notifications/tools/list_changed", new JsonObject { ["_meta"] = tag.DeepClone() }).ToJsonString());
                }
            }
        }
        finally
        {
            _listeners.TryRemove(changes, out _);
        }
    }

    private static Task RefuseAsync(HttpContext context, JsonObject message, int status, int code, string why)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(Tools.Refusal(message, code, why));
    }

    private static async Task SendAsync(HttpContext context, string text)
    {
        await context.Response.WriteAsync($"data: {text}\n\n");
        await context.Response.Body.FlushAsync();
    }
}
