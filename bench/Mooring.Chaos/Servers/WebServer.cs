using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.Chaos.Servers;

/// <summary>
/// The server over Streamable HTTP with sessions, a process of its own so that it can be killed. Its standalone stream can be resumed. On
/// <c>/control</c> the stand tells it to forget its sessions, to hang and to go on.
/// </summary>
internal sealed class WebServer : IDisposable
{
    private readonly ConcurrentDictionary<string, WebSession> _sessions = new(StringComparer.Ordinal);
    private readonly Ledger _ledger;
    private readonly Errands _errands;
    private readonly ConcurrentDictionary<string, TaskCompletionSource<JsonNode?>> _asked = new(StringComparer.Ordinal);
    private readonly Halt _halt = new();
    private long _strangers, _unsent, _untaken;

    private WebServer(string ledgers) => _errands = new Errands(_ledger = new Ledger(ledgers));

    public static async Task<int> RunAsync(int port, string ledgers)
    {
        using var server = new WebServer(ledgers);
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var app = builder.Build();
        app.MapPost("/mcp", server.PostAsync);
        app.MapGet("/mcp", server.GetAsync);
        app.MapDelete("/mcp", server.Delete);
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
            case "forget":
                foreach (var session in _sessions.Keys)
                {
                    // Its reader too: a server that forgets a session ends what belonged to it.
                    if (_sessions.TryRemove(session, out var forgotten))
                    {
                        Interlocked.Add(ref _unsent, forgotten.Close());
                        count++;
                    }
                }

                break;
            case "unsent":
                count = Interlocked.Read(ref _unsent);
                break;
            case "untaken":
                count = Interlocked.Read(ref _untaken);
                break;
            case "strangers":
                count = Interlocked.Read(ref _strangers);
                break;
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

    private void RefuseStranger(HttpContext context)
    {
        Interlocked.Increment(ref _strangers);
        context.Response.StatusCode = StatusCodes.Status404NotFound;
    }

    private async Task PostAsync(HttpContext context)
    {
        await _halt.MayGoOnAsync(context.RequestAborted);
        var message = (await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted))!.AsObject();
        var id = context.Request.Headers["Mcp-Session-Id"].ToString();
        var method = (string?)message["method"];
        WebSession? session;
        if (method == "initialize")
        {
            id = Guid.NewGuid().ToString("n");
            _sessions[id] = session = new WebSession(id, _ledger);
            context.Response.Headers["Mcp-Session-Id"] = id;
        }
        else if (!_sessions.TryGetValue(id, out session))
        {
            RefuseStranger(context);
            return;
        }

        if (message["id"] is null || method is null)
        {
            if (method is null && (string?)message["id"] is { } asked && _asked.TryRemove(asked, out var waiting))
            {
                waiting.TrySetResult(message["result"]?.DeepClone());
            }

            context.Response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        var tool = method == "tools/call" ? (string?)message["params"]!["name"] : null;
        var streams = tool is "slow" or "ask";
        context.Response.ContentType = streams ? "text/event-stream" : "application/json";
        if (tool == "ask" && !await AskAsync(context))
        {
            await SendAsync(context, Tools.Answer(message, Tools.Declined()));
            return;
        }

        if (method.StartsWith("tasks/", StringComparison.Ordinal) || (tool == Errands.Tool && message["params"]!["task"] is not null))
        {
            await context.Response.WriteAsync(await AnswerTaskAsync(message, method));
            return;
        }

        if (tool is not null)
        {
            await Tools.ExecuteAsync(message, _ledger, related => SendAsync(context, related.ToJsonString()), Unrelated, context.RequestAborted);
        }

        if (tool == "change")
        {
            foreach (var (_, other) in _sessions)
            {
                other.Add(Tools.Changed.ToJsonString());
            }
        }

        var answer = Tools.Answer(message, Declaring(method, Tools.Result(method, message)));
        await (streams ? SendAsync(context, answer) : context.Response.WriteAsync(answer));

        Task Unrelated(JsonObject notification)
        {
            if (!session.Add(notification.ToJsonString()))
            {
                Interlocked.Increment(ref _unsent);
            }

            return Task.CompletedTask;
        }
    }

    /// <summary>That it has tasks of 2025-11-25, for one of its tools.</summary>
    private static JsonObject Declaring(string method, JsonObject result)
    {
        switch (method)
        {
            case "initialize":
                result["capabilities"]!["tasks"] = new JsonObject { ["cancel"] = new JsonObject(), ["requests"] = new JsonObject { ["tools"] = new JsonObject { ["call"] = new JsonObject() } } };
                break;
            case "tools/list":
                result["tools"]!.AsArray().First(tool => (string?)tool!["name"] == Errands.Tool)!["execution"] = new JsonObject { ["taskSupport"] = "optional" };
                break;
        }

        return result;
    }

    private async Task<string> AnswerTaskAsync(JsonObject message, string method)
    {
        if (method == "tools/call")
        {
            return Tools.Answer(message, new JsonObject { ["task"] = _errands.Begin(message).State("") });
        }

        if (_errands.Find(message) is not { } errand)
        {
            return Tools.Refusal(message, -32602, Errands.Forgotten);
        }

        switch (method)
        {
            case "tasks/get":
                return Tools.Answer(message, errand.State(""));
            case "tasks/cancel":
                errand.Cancel();
                await errand.Over;
                return Tools.Answer(message, errand.State(""));
            case "tasks/result":
                await errand.Over;
                var result = errand.Result;
                result["_meta"] = new JsonObject { ["io.modelcontextprotocol/related-task"] = new JsonObject { ["taskId"] = errand.Id } };
                return errand.Status == "completed" ? Tools.Answer(message, result) : Tools.Refusal(message, -32602, "it was cancelled");
            default:
                return Tools.Refusal(message, -32601, "Method not found");
        }
    }

    /// <summary>Puts a question to the client on the stream of its call.</summary>
    private async Task<bool> AskAsync(HttpContext context)
    {
        var id = Guid.NewGuid().ToString("n");
        var answered = _asked[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            var question = Tools.Question;
            (question["jsonrpc"], question["id"]) = ("2.0", id);
            await SendAsync(context, question.ToJsonString());
            return Tools.Agrees(await answered.Task.WaitAsync(context.RequestAborted));
        }
        finally
        {
            _asked.TryRemove(id, out _);
        }
    }

    private async Task GetAsync(HttpContext context)
    {
        await _halt.MayGoOnAsync(context.RequestAborted);
        if (!_sessions.TryGetValue(context.Request.Headers["Mcp-Session-Id"].ToString(), out var session))
        {
            RefuseStranger(context);
            return;
        }

        if (session.Begin(context.Request.Headers["Last-Event-ID"].FirstOrDefault()) is not { } after)
        {
            context.Response.StatusCode = StatusCodes.Status409Conflict;
            return;
        }

        try
        {
            context.Response.ContentType = "text/event-stream";
            // As the version has it: with a place to come back to before the first message, or without.
            await context.Response.WriteAsync(context.Request.Headers["MCP-Protocol-Version"] == "2025-11-25" ? $"id: {after}\ndata:\n\n" : ":\n\n");
            await context.Response.Body.FlushAsync();
            while (await session.ReadAsync(after, context.RequestAborted) is { } events)
            {
                foreach (var (id, text) in events)
                {
                    await context.Response.WriteAsync($"id: {id}\ndata: {text}\n\n");
                    after = id;
                }

                await context.Response.Body.FlushAsync();
                session.Sent(after);
            }
        }
        finally
        {
            Interlocked.Add(ref _untaken, session.End());
        }
    }

    private Task Delete(HttpContext context)
    {
        if (_sessions.TryRemove(context.Request.Headers["Mcp-Session-Id"].ToString(), out var session))
        {
            session.Discard();
        }

        return Task.CompletedTask;
    }

    private static async Task SendAsync(HttpContext context, string text)
    {
        await context.Response.WriteAsync($"data: {text}\n\n");
        await context.Response.Body.FlushAsync();
    }
}
