using System.Text;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>
/// Decides what happens with a request of a session: answered here (ping, lists, level), or a call to the server that owns the name it
/// uses. On a single-server route everything that is not answered here goes to that server as it came.
/// </summary>
internal sealed partial class Router(
    ConfigStore config, TimeProvider time, UpstreamTable upstreams, Views views, CallRunner runner, SessionTable sessions, SharedLinks shared, ILogger<Router> logger)
{
    /// <summary>Items of one page of a list; most clients read only the first page well.</summary>
    private const int PageSize = 1000;

    /// <summary>How long a new log level waits for servers to take it.</summary>
    private static readonly TimeSpan LevelPatience = TimeSpan.FromSeconds(2);

    /// <summary>Has a request answered on <paramref name="reply"/>, now or later. Never throws.</summary>
    public void Handle(Session session, Frame request, Reply reply)
    {
        switch (request.Method)
        {
            case McpMethod.Ping:
                Answer(request, reply, "{}"u8);
                break;
            case McpMethod.ToolsList or McpMethod.PromptsList or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList:
                _ = ListAsync(session, request, reply, ListKinds.Of(request.Method)!.Value);
                break;
            case McpMethod.SetLevel:
                _ = SetLevelAsync(session, request, reply);
                break;
            case McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe:
                Subscribe(session, request, reply);
                break;
            case McpMethod.TasksList when session.Server is null:
                _ = MergedTasks.ListAsync(session, request, reply, upstreams, time);
                break;
            default:
                Forward(session, request, reply, onResult: null);
                break;
        }
    }

    private static void Answer(Frame request, Reply reply, ReadOnlySpan<byte> result) =>
        reply.Complete(request.Raw(request.Envelope.Id), JsonRpc.Result(request.Id, result));

    private static void Refuse(Frame request, Reply reply, int code, string message, byte[]? data = null) =>
        reply.Complete(request.Raw(request.Envelope.Id), JsonRpc.Error(request.Id, code, message, data));

    private void Forward(Session session, Frame request, Reply reply, Func<Task<string?>>? onResult, bool looked = false)
    {
        if (session.RunningCalls >= config.Current.Limits.CallsPerSession)
        {
            Refuse(request, reply, JsonRpc.ServerError, $"This session has {config.Current.Limits.CallsPerSession} requests under way (limits.callsPerSession); wait for some to end.");
            return;
        }

        if (session.Server is { } name)
        {
            if (upstreams.Find(name) is { } only)
            {
                _ = runner.RunAsync(new Call(session, only, request, reply, time) { OnResult = onResult });
            }
            else
            {
                Refuse(request, reply, JsonRpc.ServerError, $"Server \"{name}\" is no longer configured.");
            }

            return;
        }

        if (Destination(session, request, out var error) is { } to)
        {
            _ = runner.RunAsync(new Call(session, to.Upstream, request, reply, time) { Renamed = to.Renamed, OnResult = onResult });
            return;
        }

        if (!looked && ListsThatTell(request.Method) is { Length: > 0 } kinds)
        {
            _ = ForwardAfterLooksAsync(session, request, reply, onResult, kinds);
            return;
        }

        Refuse(request, reply, error.Code, error.Message, error.Data);
    }

    /// <summary>Nobody known has that name; a server that nobody has seen yet may. It is waited for as with a list.</summary>
    private async Task ForwardAfterLooksAsync(Session session, Frame request, Reply reply, Func<Task<string?>>? onResult, ListKind[] kinds)
    {
        try
        {
            await Task.WhenAll(kinds.Select(kind => FirstLooksAsync(session, upstreams.All, kind)));
            Forward(session, request, reply, onResult, looked: true);
        }
        catch (Exception e)
        {
            Log.ListFailed(logger, e, kinds[0]);
            Refuse(request, reply, JsonRpc.InternalError, "The gateway failed to look for the server.");
        }
    }

    private static ListKind[] ListsThatTell(McpMethod method) => method switch
    {
        McpMethod.ToolsCall => [ListKind.Tools],
        McpMethod.PromptsGet => [ListKind.Prompts],
        McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe => [ListKind.Resources, ListKind.Templates],
        McpMethod.Complete => [ListKind.Prompts, ListKind.Resources, ListKind.Templates],
        _ => [],
    };

    private (Upstream Upstream, (Slice, ReadOnlyMemory<byte>)? Renamed)? Destination(Session session, Frame request, out (int Code, string Message, byte[]? Data) error)
    {
        ref readonly var envelope = ref request.Envelope;
        error = default;
        switch (request.Method)
        {
            case McpMethod.ToolsCall or McpMethod.PromptsGet:
                var kind = request.Method == McpMethod.ToolsCall ? ListKind.Tools : ListKind.Prompts;
                var shown = request.Text(envelope.Name);
                if (views.Find(session, kind, shown) is { } place)
                {
                    return (place.Upstream, Rename(envelope.Name, shown, place.Name));
                }

                error = (JsonRpc.InvalidParams, $"Unknown {(kind == ListKind.Tools ? "tool" : "prompt")}: {shown}", null);
                return null;

            case McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe:
                var uri = request.Text(envelope.Uri);
                if (views.ServerOf(session, uri) is { } owner)
                {
                    return (owner.Upstream, Rename(envelope.Uri, uri, owner.Uri));
                }

                error = (JsonRpc.ResourceNotFound, $"Resource not found: {uri}", [.. "{\"uri\":"u8, .. JsonText.Quote(uri), (byte)'}']);
                return null;

            case McpMethod.Complete:
                return CompletionOwner(session, request, out error);

            case McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel:
                var id = request.Text(envelope.TaskId);
                if (TaskIds.Parse(id) is { } task && upstreams.Find(task.Server) is { } runs)
                {
                    return (runs, (envelope.TaskId, JsonText.Quote(task.TaskId)));
                }

                error = (JsonRpc.InvalidParams, $"Unknown task: {id}", null);
                return null;

            default:
                error = (JsonRpc.MethodNotFound, $"Method not found: {request.MethodName}", null);
                return null;
        }
    }

    private (Upstream, (Slice, ReadOnlyMemory<byte>)?)? CompletionOwner(Session session, Frame request, out (int Code, string Message, byte[]? Data) error)
    {
        error = (JsonRpc.InvalidParams, "completion/complete needs a \"ref\" to a known prompt or resource.", null);
        var at = request.Envelope.Reference;
        if (!at.IsPresent)
        {
            return null;
        }

        var reference = request.Span(at);
        if (JsonFields.String(reference, "name"u8) is { } prompt)
        {
            if (views.Find(session, ListKind.Prompts, prompt) is not { } place)
            {
                return null;
            }

            var name = JsonFields.Find(reference, "name"u8).Offset(at.Start);
            return (place.Upstream, Rename(name, prompt, place.Name));
        }

        if (JsonFields.String(reference, "uri"u8) is not { } uri || views.ServerOf(session, uri) is not { } owner)
        {
            return null;
        }

        return (owner.Upstream, Rename(JsonFields.Find(reference, "uri"u8).Offset(at.Start), uri, owner.Uri));
    }

    private static (Slice, ReadOnlyMemory<byte>)? Rename(Slice where, string shown, string real) =>
        string.Equals(shown, real, StringComparison.Ordinal) ? null : (where, JsonText.Quote(real));

    private async Task ListAsync(Session session, Frame request, Reply reply, ListKind kind)
    {
        try
        {
            var servers = session.Server is { } name ? upstreams.Find(name) is { } only ? [only] : [] : upstreams.All;
            await FirstLooksAsync(session, servers, kind);
            if (session.Server is null)
            {
                var merged = views.Merged(session, kind);
                Page(request, reply, kind, merged.Items, merged.Hash);
                return;
            }

            if (servers.Count == 0)
            {
                Refuse(request, reply, JsonRpc.ServerError, $"Server \"{session.Server}\" is no longer configured.");
            }
            else if (views.Known(session, servers[0], kind) is not { } list)
            {
                Refuse(request, reply, JsonRpc.InternalError,
                    $"Server \"{session.Server}\" has not answered {kind.Method()} yet ({servers[0].Health.LastFailure ?? "it is still starting"}), and nothing is known from before. A list-changed notification follows when it does.");
            }
            else if (list.Items.Count <= PageSize && !HasCursor(request))
            {
                Answer(request, reply, list.Result);
            }
            else
            {
                Page(request, reply, kind, [.. list.Items.Select(item => list.Raw(item).ToArray())], list.Hash[..12]);
            }
        }
        catch (Exception e)
        {
            Log.ListFailed(logger, e, kind);
            Refuse(request, reply, JsonRpc.InternalError, "The gateway failed to build the list.");
        }
    }

    /// <summary>A server that nothing certain is known of is asked, for a short while; what is known is never waited for.</summary>
    private async Task FirstLooksAsync(Session session, IReadOnlyList<Upstream> servers, ListKind kind)
    {
        List<Task>? looks = null;
        foreach (var upstream in servers)
        {
            if (!views.IsKnown(session, upstream, kind))
            {
                (looks ??= []).Add(session.Lists.LookAsync(upstream, kind));
            }
        }

        if (looks is null)
        {
            return;
        }

        try
        {
            await Task.WhenAll(looks).WaitAsync(config.Current.Calls.FirstListWait, time);
        }
        catch (TimeoutException)
        {
            // The look goes on; when it is done the client is told that its list changed.
        }
    }

    /// <summary>Some clients write <c>"cursor":null</c> where they have none.</summary>
    private static bool HasCursor(Frame request) =>
        request.Envelope.Cursor.IsPresent && !request.Span(request.Envelope.Cursor).SequenceEqual("null"u8);

    /// <summary>One page. Cursors are the gateway's own, bound to what they page through.</summary>
    private static void Page(Frame request, Reply reply, ListKind kind, IReadOnlyList<byte[]> items, string hash)
    {
        var from = 0;
        if (HasCursor(request))
        {
            var cursor = request.Text(request.Envelope.Cursor);
            if (!cursor.StartsWith(hash + ".", StringComparison.Ordinal) || !int.TryParse(cursor.AsSpan(hash.Length + 1), out from) || from < 0 || from > items.Count)
            {
                Refuse(request, reply, JsonRpc.InvalidParams, "Unknown cursor: the list changed, or it is not from here. Begin again without one.");
                return;
            }
        }

        var body = new List<byte>(items.Skip(from).Take(PageSize).Sum(i => i.Length + 1) + 64);
        body.AddRange("{\""u8);
        body.AddRange(kind.KeyBytes());
        body.AddRange("\":["u8);
        var to = Math.Min(items.Count, from + PageSize);
        for (var i = from; i < to; i++)
        {
            if (i > from)
            {
                body.Add((byte)',');
            }

            body.AddRange(items[i]);
        }

        body.Add((byte)']');
        if (to < items.Count)
        {
            body.AddRange(Encoding.ASCII.GetBytes($",\"nextCursor\":\"{hash}.{to}\""));
        }

        body.Add((byte)'}');
        Answer(request, reply, body.ToArray());
    }

    private async Task SetLevelAsync(Session session, Frame request, Reply reply)
    {
        var level = request.Text(request.Envelope.Level);
        if (!LogLevels.IsLevel(level))
        {
            Refuse(request, reply, JsonRpc.InvalidParams, $"Unknown log level: {level}");
            return;
        }

        if (session.Server is { } name && upstreams.Find(name) is { IsPerSession: true })
        {
            // Its server has the say; the gateway remembers.
            Forward(session, request, reply, () => SaveAsync(session, r => r with { LogLevel = level }));
            return;
        }

        if (await SaveAsync(session, r => r with { LogLevel = level }) is { } why)
        {
            Refuse(request, reply, JsonRpc.InternalError, why);
            return;
        }

        // Told to the servers before the client hears that it is done: what it calls next is logged as it asked.
        byte[] parameters = [.. "{\"level\":"u8, .. JsonText.Quote(level), (byte)'}'];
        using var limit = new CancellationTokenSource(LevelPatience, time);
        var told = session.Links.Open
            .Where(link => JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, "logging"u8).IsPresent)
            .Select(link => link.RequestAsync("logging/setLevel", parameters, limit.Token).AsTask())
            .Concat(upstreams.All.Where(u => !u.IsPerSession && (session.Server is null || session.Server == u.Name)).Select(shared.ReapplyAsync));
        try
        {
            await Task.WhenAll(told).WaitAsync(LevelPatience, time);
        }
        catch (TimeoutException)
        {
            // A server that does not answer hears it when it is back; the level is kept for that.
        }

        Answer(request, reply, "{}"u8);
    }

    private void Subscribe(Session session, Frame request, Reply reply)
    {
        var uri = request.Text(request.Envelope.Uri);
        var adds = request.Method == McpMethod.ResourcesSubscribe;
        if (!adds && views.ServerOf(session, uri) is { Upstream.IsPerSession: false } place && sessions.OthersSubscribe(session, place))
        {
            // The link is shared and others still listen.
            _ = AnswerAfterAsync(SaveAsync(session, r => r with { Subscriptions = [.. r.Subscriptions.Where(s => s != uri)] }), request, reply);
            return;
        }

        Forward(session, request, reply, () => SaveAsync(session, r => r with
        {
            Subscriptions = adds ? [.. r.Subscriptions.Where(s => s != uri), uri] : [.. r.Subscriptions.Where(s => s != uri)],
        }));
    }

    private static async Task AnswerAfterAsync(Task<string?> saving, Frame request, Reply reply)
    {
        if (await saving is { } why)
        {
            Refuse(request, reply, JsonRpc.InternalError, why);
        }
        else
        {
            Answer(request, reply, "{}"u8);
        }
    }

    private async Task<string?> SaveAsync(Session session, Func<Stores.SessionRecord, Stores.SessionRecord> change) =>
        await sessions.ChangeAsync(session, change) ? null : "the gateway's store is not reachable, so it could not be remembered";

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Error, "Building the list of {Kind} failed.", EventName = "ListFailed")]
        public static partial void ListFailed(ILogger logger, Exception exception, ListKind kind);
    }
}
