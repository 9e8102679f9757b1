using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>What servers say of their own accord, on its way to the client.</content>
internal sealed partial class SessionLinks
{
    public void OnMessage(Link link, Frame frame, PendingRequest? related, EventOrigin? origin = null)
    {
        var call = related as Call;
        if (call is null && IsOver(link))
        {
            return;
        }

        // Of a call's own stream: the session's log is of another one.
        var place = call is null || origin is null ? null : call.Hearing;
        origin = call is null ? origin : null;
        if (frame.Kind == FrameKind.Request)
        {
            OnRequest(link, frame, call);
            return;
        }

        switch (frame.Method)
        {
            case McpMethod.Progress:
                OnProgress(frame, call, place);
                break;
            case McpMethod.Cancelled:
                if (session.Questions.Cancel(link, frame) is { } cancelled)
                {
                    TakeBack(link, call, cancelled);
                }

                break;
            case McpMethod.ToolsListChanged or McpMethod.PromptsListChanged or McpMethod.ResourcesListChanged:
                OnListChangedAsync(link, ListKinds.Of(frame.Method)!.Value, frame).Unawaited(services.Logger);
                break;
            case var _ when call is null && !session.MayHear(link.Upstream):
                // It was allowed once. A call that goes on has its say; nothing else has.
                break;
            case McpMethod.ResourcesUpdated:
                Tell(link, Translate(link, new Message(frame).ToLine()), origin);
                break;
            default:
                Route(link, call, Translate(link, new Message(frame).ToLine()), origin, place);
                break;
        }
    }

    public Task ReadyAsync() => session.Outbox.ReadyAsync();

    /// <summary>Where the server shows everybody the same, the watch looks for all (<see cref="SharedLinks"/>). What an account shows only this link can see; nobody needs it while nobody listens.</summary>
    public Task LookForChangesAsync(Link link, CancellationToken cancel) => link.Upstream.NeedsAccount
        ? SilentLists.WatchAsync(link, async kind => session.Outbox.IsConnected && await session.Lists.IsAnotherAsync(link, kind), services.Time, cancel)
        : Task.CompletedTask;

    private void OnRequest(Link link, Frame frame, Call? call)
    {
        if (frame.Method == McpMethod.Ping && (!session.IsKept || call is not { Reply.IsConnected: true }))
        {
            // Its peer is the gateway, and that is there: a client that is away for a moment must not cost the session at the server.
            link.SendAsync(JsonRpc.Result(frame.Id, "{}"u8), CancellationToken.None).Unawaited(services.Logger);
            return;
        }

        if (call is null && !session.MayHear(link.Upstream))
        {
            link.SendAsync(JsonRpc.Error(frame.Id, JsonRpc.MethodNotFound, "The client may not use this server any more."), CancellationToken.None).Unawaited(services.Logger);
            return;
        }

        // What belongs to a task of the server's is that one's, and waits on when the request ends that only fetches its result.
        var isItsOwn = call is not null && !IsAboutServerTask(frame);
        if (call is null && !session.IsKept)
        {
            call = OnlyCall(link, out var count);
            if (call is not { Reply.IsConnected: true })
            {
                Refuse(link, frame, isOneOfSeveral: count > 1);
                return;
            }
        }

        if (session.Server is null && frame.Method is (McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel))
        {
            AskAboutTaskAsync(link, Frame.Parse(frame.Bytes.ToArray()), call, isItsOwn).Unawaited(services.Logger);
            return;
        }

        Ask(link, frame, call, isItsOwn);
    }

    private void Ask(Link link, Frame frame, Call? call, bool isItsOwn)
    {
        // Where the link does not say on whose behalf its server asks: the latest call on it. One asked outside of calls with nobody
        // listening there is better asked on a call's stream than not at all.
        call ??= link.TellsRequests && session.Outbox.IsConnected ? null : LatestCall(link);
        if (OlderClients.CannotBeAsked(session.Version, frame))
        {
            link.SendAsync(JsonRpc.Error(frame.Id, JsonRpc.InvalidParams, "The client has not declared sampling.tools, and its protocol version has none."), CancellationToken.None).Unawaited(services.Logger);
            return;
        }

        if (OlderClients.Question(session.Version, frame) is { } older)
        {
            frame = Frame.Parse(older);
        }

        var line = session.Questions.Ask(link, frame, call, isItsOwn, IsAboutClientTask(frame) ? null : l => Translate(link, l), OnAnswer(link, frame));
        if (line is null)
        {
            Log.TooManyQuestions(services.Logger, link.Upstream.Name);
            link.SendAsync(JsonRpc.Error(frame.Id, JsonRpc.ServerError, "The client has too many open requests."), CancellationToken.None).Unawaited(services.Logger);
            return;
        }

        Route(link, call, line);
    }

    /// <summary>
    /// Of clients without sessions nothing can be asked but in the answer to a request of theirs (2026-07-28, basic/patterns/mrtr), and one that shares its link
    /// with others must not be asked what is another's.
    /// </summary>
    private void Refuse(Link link, Frame frame, bool isOneOfSeveral)
    {
        if (isOneOfSeveral)
        {
            Log.QuestionOfNobody(services.Logger, link.Upstream.Name, frame.MethodName);
        }

        var refusal = isOneOfSeveral
            ? JsonRpc.Error(frame.Id, JsonRpc.ServerError, "Several requests are under way here, maybe of several clients, and nothing says for which of them this is asked. It can be asked while only one is.")
            : JsonRpc.Error(frame.Id, JsonRpc.MethodNotFound, "The client can be asked something only while a request of it is under way.");
        link.SendAsync(refusal, CancellationToken.None).Unawaited(services.Logger);
    }

    private static bool IsAboutServerTask(Frame frame) =>
        frame.Envelope.Meta.IsPresent && JsonFields.Find(frame.Span(frame.Envelope.Meta), "io.modelcontextprotocol/related-task"u8).IsPresent;

    private static bool IsAboutClientTask(Frame frame) =>
        frame.Method is McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel or McpMethod.TasksList;

    /// <summary>Progress of a call, under the token the client gave it; its JSON type is the client's.</summary>
    private static void OnProgress(Frame frame, Call? call, CallCursor? place)
    {
        if (call is null || !call.Request.Envelope.MetaProgressToken.IsPresent || !frame.Envelope.ProgressToken.IsPresent)
        {
            return;
        }

        call.Sign();
        var token = call.Request.Raw(call.Request.Envelope.MetaProgressToken);
        call.Reply.Send(new Message(frame).Replace(frame.Envelope.ProgressToken, token).ToLine(), place);
    }

    private async Task OnListChangedAsync(Link link, ListKind kind, Frame frame)
    {
        // Read first, told then: a client that asks at once is shown the new list. Told once for each time that the server says it, whatever was read.
        if (link.IsForOneCall)
        {
            session.Lists.Doubt(link.Upstream, kind, isAnnounced: true);
        }
        else
        {
            await session.Lists.ChangedAsync(link, kind);
        }

        if (!session.MayHear(link.Upstream))
        {
            return;
        }

        if (frame.Envelope.Params.IsPresent && frame.Span(frame.Envelope.Params).IndexOf((byte)'"') >= 0)
        {
            // It says more than that.
            session.Outbox.Send(new Message(frame).ToLine(), changed: link.Upstream.Name);
        }
        else
        {
            session.Outbox.SendListChanged(kind.Changed(), link.Upstream.Name);
        }
    }

    /// <summary>To the stream of the call it belongs to, else to the one stream for everything else.</summary>
    private void Route(Link link, Call? call, byte[] line, EventOrigin? origin = null, CallCursor? place = null)
    {
        call ??= link.TellsRequests ? null : session.IsKept ? LatestCall(link) : OnlyCall(link, out _);
        if (call is not null)
        {
            call.Sign();
            call.Reply.Send(line, place);
            return;
        }

        Tell(link, line, origin);
    }

    /// <summary>A question that was asked is no longer: whoever has it to ask does not ask it.</summary>
    private void TakeBack(Link link, Call? call, byte[] line)
    {
        if (session.IsKept)
        {
            Route(link, call, line);
            return;
        }

        session.ForEachCall(c =>
        {
            if (ReferenceEquals(c.Link, link))
            {
                c.Reply.Send(line);
            }
        });
    }

    /// <summary>Where clients have nothing but their requests, none of these is shown what may be another's.</summary>
    /// <param name="link">Where it was said.</param>
    /// <param name="count">How many calls are under way there.</param>
    private Call? OnlyCall(Link link, out int count)
    {
        Call? only = null;
        var calls = 0;
        session.ForEachCall(call =>
        {
            if (ReferenceEquals(call.Link, link))
            {
                only = call;
                calls++;
            }
        });
        count = calls;
        return calls == 1 ? only : null;
    }

    private Call? LatestCall(Link link) => session.FindCall(c => ReferenceEquals(c.Link, link) && c.Reply.IsConnected);

    private byte[] Translate(Link link, byte[] line) =>
        session.ToClient(link.Upstream, line);
}
