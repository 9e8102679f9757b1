using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>
/// An MCP server over Streamable HTTP on a real port that remembers all it was asked and can hang, be cut, end and come back. The test
/// that started it disposes it.
/// </summary>
/// <remarks>
/// Tools: <c>echo</c> answers its text; <c>hold</c> answers it once <see cref="Release"/> was called; <c>talk</c> sends a log message at
/// once, its progress as told by <see cref="Progress"/>, and then does as hold; <c>ask</c>, which no list shows, asks the client for a name and answers it;
/// <c>steady</c>, listed where a test adds it, does as hold and says that it may be repeated; <c>keep</c>, which no list shows, does as hold whoever listens, on
/// a stream that can be asked for again.
/// </remarks>
internal sealed class FaultyServer : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Channel<string>> _sessions = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<(string Session, JsonObject Message)> _received = new();
    private readonly ConcurrentDictionary<string, string> _owners = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Channel<int>, bool> _talks = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<JsonObject>> _questions = new(StringComparer.Ordinal);
    private WebApplication? _app;
    private TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SleepyMachine _machine = new();
    private readonly KeptStreams _kept = new();
    private CancellationTokenSource _running = new();
    private CancellationTokenSource _awake = new();
    private int _streamsOpened;

    private FaultyServer()
    {
    }

    public int Port { get; private set; }

    public Uri Url => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}/mcp");

    /// <summary>Names of the tools; a change is announced by <see cref="Announce"/>.</summary>
    public IReadOnlyList<string> Tools { get; set; } = ["echo", "hold", "talk"];

    /// <summary>Takes every request and answers none.</summary>
    public bool Hangs { get; set; }

    /// <summary>Times a standalone stream was opened.</summary>
    public int StreamsOpened => Volatile.Read(ref _streamsOpened);

    public static async Task<FaultyServer> StartAsync()
    {
        var server = new FaultyServer();
        await server.StartAgainAsync();
        return server;
    }

    /// <summary>Messages of one method that came, over all sessions and restarts.</summary>
    public List<JsonObject> Received(string method) =>
        [.. _received.Where(entry => (string?)entry.Message["method"] == method).Select(entry => entry.Message)];

    /// <summary>Calls of one tool that came.</summary>
    public int Calls(string tool) => Received("tools/call").Count(message => (string?)message["params"]!["name"] == tool);

    /// <summary>Times a client of that name was initialised here.</summary>
    public int Initialized(string client) => Received("initialize").Count(message => (string?)message["params"]!["clientInfo"]?["name"] == client);

    /// <summary>The log level last set on each session that a client of that name has here now; null where none was set.</summary>
    public List<string?> Levels(string client) =>
    [
        .. _sessions.Keys.Where(session => _owners.GetValueOrDefault(session) == client).Select(session => _received
            .Where(entry => entry.Session == session && (string?)entry.Message["method"] == "logging/setLevel")
            .Select(entry => (string?)entry.Message["params"]!["level"]).LastOrDefault()),
    ];

    /// <summary>Reports progress on every call of <c>talk</c> that is held.</summary>
    public void Progress(int step)
    {
        foreach (var talk in _talks.Keys)
        {
            talk.Writer.TryWrite(step);
        }
    }

    /// <summary>Lets held calls be answered, also those that come later.</summary>
    public void Release() => _released.TrySetResult();

    /// <summary>Holds calls again.</summary>
    public void Hold() => _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Sends a notification on the standalone stream of every session.</summary>
    public void Announce(string method, JsonObject? parameters = null)
    {
        var message = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method };
        if (parameters is not null)
        {
            message["params"] = parameters;
        }

        foreach (var session in _sessions.Values)
        {
            session.Writer.TryWrite(message.ToJsonString());
        }
    }

    /// <summary>Calls of <c>keep</c> that were begun.</summary>
    public int Kept => _kept.Count;

    /// <summary>Sends a log message on the stream of every call of <c>keep</c> that is not answered.</summary>
    public void LogToKept(string text) =>
        _kept.Say(new JsonObject { ["jsonrpc"] = "2.0", ["method"] = "notifications/message", ["params"] = new JsonObject { ["level"] = "error", ["data"] = text } }.ToJsonString());

    public void Log(string text) => Announce("notifications/message", new JsonObject { ["level"] = "debug", ["data"] = text });

    /// <summary>Ends at once, cutting everything and forgetting all sessions, as a killed process does.</summary>
    public async Task KillAsync()
    {
        if (_app is not { } app)
        {
            return;
        }

        _app = null;
        await _running.CancelAsync();
        await app.StopAsync(new CancellationToken(canceled: true));
        await app.DisposeAsync();
        _sessions.Clear();
    }

    /// <summary>Its machine answers nothing any more on the connections it has; what is said from now on goes to those that come.</summary>
    public void FallAsleep()
    {
        _machine.FallAsleep();
        var before = _awake;
        _awake = new();
        before.Cancel();
    }

    /// <summary>Comes (back) on the same port.</summary>
    public async Task StartAgainAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, Port, listen => listen.Use(next => connection =>
        {
            _machine.Add(connection.Features.Get<IConnectionSocketFeature>()!.Socket);
            return next(connection);
        })));
        _running = new();
        var app = builder.Build();
        app.MapPost("/mcp", PostAsync);
        app.MapGet("/mcp", GetAsync);
        app.MapDelete("/mcp", context =>
        {
            _sessions.TryRemove(context.Request.Headers["Mcp-Session-Id"].ToString(), out _);
            return Task.CompletedTask;
        });
        await app.StartAsync();
        _app = app;
        Port = new Uri(app.Urls.Single()).Port;
    }

    public async ValueTask DisposeAsync()
    {
        Release();
        await KillAsync();
        _running.Dispose();
    }

    private async Task PostAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var message = JsonNode.Parse(await reader.ReadToEndAsync())!.AsObject();
        var session = context.Request.Headers["Mcp-Session-Id"].ToString();
        _received.Enqueue((session, message));
        if (Hangs)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        }

        var method = (string?)message["method"];
        if (method == "initialize")
        {
            session = Guid.NewGuid().ToString("n");
            _owners[session] = (string?)message["params"]!["clientInfo"]?["name"] ?? "";
            _sessions[session] = Channel.CreateUnbounded<string>();
            context.Response.Headers["Mcp-Session-Id"] = session;
        }
        else if (!_sessions.ContainsKey(session))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (method is null && message["id"] is JsonValue id && id.TryGetValue(out string? question) && _questions.TryGetValue(question, out var asked))
        {
            asked.TrySetResult(message);
        }

        if (message["id"] is null || method is null)
        {
            context.Response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        if (method == "tools/call" && (string?)message["params"]!["name"] is "hold" or "talk" or "steady")
        {
            await HoldAsync(context, message);
            return;
        }

        if (method == "tools/call" && (string?)message["params"]!["name"] is "keep")
        {
            await _kept.BeginAsync(context, _released.Task, Answer(message, Result("tools/call", message)), _running.Token);
            return;
        }

        if (method == "tools/call" && (string?)message["params"]!["name"] is "ask")
        {
            await AskAsync(context, message);
            return;
        }

        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(Answer(message, Result(method, message)));
    }

    private async Task AskAsync(HttpContext context, JsonObject message)
    {
        var question = "question-" + Guid.NewGuid().ToString("n");
        var asked = _questions[question] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var samples = (string?)message["params"]!["arguments"]?["text"] == "sampling/createMessage";
        context.Response.ContentType = "text/event-stream";
        await SendAsync(context, new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = question,
            ["method"] = samples ? "sampling/createMessage" : "elicitation/create",
            ["params"] = samples
                ? new JsonObject
                {
                    ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = new JsonObject { ["type"] = "text", ["text"] = "Your name?" } }),
                    ["maxTokens"] = 10,
                }
                : new JsonObject
                {
                    ["message"] = "Your name?",
                    ["requestedSchema"] = new JsonObject
                    {
                        ["type"] = "object",
                        ["properties"] = new JsonObject { ["name"] = new JsonObject { ["type"] = "string" } },
                    },
                },
        }.ToJsonString());
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _running.Token);
        var answer = await asked.Task.WaitAsync(over.Token);
        message["params"]!["arguments"] = new JsonObject { ["text"] = (string?)answer["result"]?["content"]?[samples ? "text" : "name"] ?? "nobody" };
        await SendAsync(context, Answer(message, Result("tools/call", message)));
    }

    /// <summary>Passes on the progress of a held call until it is released.</summary>
    private async Task TalkAsync(HttpContext context, JsonObject message, Task released, CancellationToken over)
    {
        var steps = Channel.CreateUnbounded<int>();
        _talks[steps] = true;
        try
        {
            while (!released.IsCompleted)
            {
                await Task.WhenAny(released, steps.Reader.WaitToReadAsync(over).AsTask());
                while (message["params"]!["_meta"]?["progressToken"] is { } token && steps.Reader.TryRead(out var step))
                {
                    await SendAsync(context, new JsonObject
                    {
                        ["jsonrpc"] = "2.0",
                        ["method"] = "notifications/progress",
                        ["params"] = new JsonObject { ["progressToken"] = token.DeepClone(), ["progress"] = step },
                    }.ToJsonString());
                }
            }
        }
        finally
        {
            _talks.TryRemove(steps, out _);
        }
    }

    private static async Task SendAsync(HttpContext context, string text)
    {
        await context.Response.WriteAsync($"event: message\ndata: {text}\n\n");
        await context.Response.Body.FlushAsync();
    }

    private async Task HoldAsync(HttpContext context, JsonObject message)
    {
        var talks = (string?)message["params"]!["name"] == "talk";
        context.Response.ContentType = talks ? "text/event-stream" : "application/json";
        if (talks)
        {
            await SendAsync(context, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"error\",\"data\":\"talking\"}}");
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _running.Token);
        var released = _released.Task.WaitAsync(over.Token);
        if (talks)
        {
            await TalkAsync(context, message, released, over.Token);
        }

        await released;
        var answer = Answer(message, Result("tools/call", message));
        await context.Response.WriteAsync(talks ? $"event: message\ndata: {answer}\n\n" : answer);
    }

    private async Task GetAsync(HttpContext context)
    {
        if (!_sessions.TryGetValue(context.Request.Headers["Mcp-Session-Id"].ToString(), out var session))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (await _kept.ResumeAsync(context, _running.Token))
        {
            return;
        }

        Interlocked.Increment(ref _streamsOpened);
        context.Response.ContentType = "text/event-stream";
        await context.Response.WriteAsync(":\n\n");
        await context.Response.Body.FlushAsync();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _running.Token);
        var asleep = _awake.Token;
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(over.Token, asleep);
        try
        {
            await foreach (var line in session.Reader.ReadAllAsync(reading.Token))
            {
                await context.Response.WriteAsync($"event: message\ndata: {line}\n\n");
                await context.Response.Body.FlushAsync();
            }
        }
        catch (OperationCanceledException) when (asleep.IsCancellationRequested)
        {
            // Its end would be sent, and it is to end without a word.
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, over.Token);
        }
    }

    private JsonObject Result(string method, JsonObject message) => method switch
    {
        "initialize" => new JsonObject
        {
            ["protocolVersion"] = message["params"]!["protocolVersion"]!.DeepClone(),
            ["capabilities"] = new JsonObject
            {
                ["tools"] = new JsonObject { ["listChanged"] = true },
                ["resources"] = new JsonObject { ["subscribe"] = true, ["listChanged"] = true },
                ["logging"] = new JsonObject(),
            },
            ["serverInfo"] = new JsonObject { ["name"] = "faulty", ["version"] = "1" },
        },
        "tools/list" => new JsonObject
        {
            ["tools"] = new JsonArray([.. Tools.Select(name => new JsonObject
            {
                ["name"] = name,
                ["inputSchema"] = new JsonObject { ["type"] = "object" },
                ["annotations"] = new JsonObject { ["idempotentHint"] = name == "steady" },
            })]),
        },
        "resources/list" => new JsonObject { ["resources"] = new JsonArray(new JsonObject { ["uri"] = "note://a", ["name"] = "a" }) },
        "resources/templates/list" => new JsonObject { ["resourceTemplates"] = new JsonArray() },
        "tools/call" => new JsonObject
        {
            ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = (string?)message["params"]!["arguments"]?["text"] ?? "" }),
        },
        _ => [],
    };

    private static string Answer(JsonObject message, JsonObject result) =>
        new JsonObject { ["jsonrpc"] = "2.0", ["id"] = message["id"]!.DeepClone(), ["result"] = result }.ToJsonString();
}
