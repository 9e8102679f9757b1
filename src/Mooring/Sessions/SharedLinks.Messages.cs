using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;

namespace Mooring.Sessions;

/// <content>What servers say on links that belong to no single session, on its way to whom it concerns.</content>
internal sealed partial class SharedLinks
{
    public void OnMessage(Link link, Frame frame, PendingRequest? related, EventOrigin? origin = null)
    {
        if (frame.Kind == FrameKind.Request)
        {
            var answer = frame.Method == McpMethod.Ping
                ? JsonRpc.Result(frame.Id, "{}"u8)
                : JsonRpc.Error(frame.Id, JsonRpc.MethodNotFound, "This link declares no client capabilities.");
            link.SendAsync(answer, CancellationToken.None).Unawaited(logger);
            return;
        }

        var shared = !link.Upstream.IsPerSession;
        var place = origin is null ? null : (related as Calls.Call)?.Hearing;
        switch (frame.Method)
        {
            case McpMethod.ToolsListChanged or McpMethod.PromptsListChanged or McpMethod.ResourcesListChanged:
                OnListChangedAsync(link, ListKinds.Of(frame.Method)!.Value).Unawaited(logger);
                break;
            case McpMethod.Progress when related is Calls.Call call && call.Request.Envelope.MetaProgressToken.IsPresent && frame.Envelope.ProgressToken.IsPresent:
                var token = call.Request.Raw(call.Request.Envelope.MetaProgressToken);
                call.Reply.Send(new Message(frame).Replace(frame.Envelope.ProgressToken, token).ToLine(), place);
                break;
            case McpMethod.ResourcesUpdated when shared:
                var uri = frame.Text(frame.Envelope.Uri);
                var line = new Message(frame).ToLine();
                Broadcast?.Invoke(link.Upstream, session => session.Updated(link.Upstream, uri, line));
                break;
            case McpMethod.TasksStatus when shared && related is not Calls.Call:
                TellOwnerAsync(link, frame).Unawaited(logger);
                break;
            case McpMethod.Message when related is Calls.Call call:
                if (LogLevels.Passes(frame, call.Session.Record.LogLevel))
                {
                    call.Reply.Send(new Message(frame).ToLine(), place);
                }

                break;
            case McpMethod.Message when shared:
                Say(link, frame);
                break;
            case McpMethod.Other or McpMethod.TasksStatus or McpMethod.Tasks when related is Calls.Call call:
                call.Reply.Send(call.Session.ToClient(link.Upstream, new Message(frame).ToLine()), place);
                break;
        }
    }

    /// <summary>A log message that belongs to no call: no client is to hear it, so it goes to the gateway's own log, as much of it as a server's standard error.</summary>
    private void Say(Link link, Frame frame)
    {
        if (!_said.GetOrAdd(link.Upstream.Name, _ => new LineLimit(time)).TryPass(out var leftOut))
        {
            return;
        }

        if (leftOut > 0)
        {
            Log.LeftOut(logger, link.Upstream.Name, leftOut);
        }

        var bytes = new Message(frame).ToLine();
        var text = ErrorOutput.WithoutControl(System.Text.Encoding.UTF8.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, ErrorOutput.LongestLine))));
        Log.ServerSaid(logger, link.Upstream.Name, bytes.Length > ErrorOutput.LongestLine ? $"{text} … ({bytes.Length - ErrorOutput.LongestLine} bytes more)" : text);
    }

    /// <summary>How a task is doing is its owner's to know, in whichever session.</summary>
    private async Task TellOwnerAsync(Link link, Frame frame)
    {
        try
        {
            if (await owners.OwnerAsync(link.Upstream, frame.Text(frame.Envelope.TaskId)) is { } owner)
            {
                var line = new Message(frame).ToLine();
                Broadcast?.Invoke(link.Upstream, session =>
                {
                    if (session.Principal == owner)
                    {
                        session.Outbox.Send(session.ToClient(link.Upstream, line));
                    }
                });
            }
        }
        catch (StoreException)
        {
            // Nobody is told; the protocol has clients ask for the state as well.
        }
    }

    private async Task OnListChangedAsync(Link link, ListKind kind)
    {
        var before = catalogue.Find(link.Upstream.Name, CatalogueKey.Base)[kind];
        var reader = link.IsForOneCall ? (await GetAsync(link.Upstream, _stopping.Token)).Link : link;
        var list = reader is null ? null : await RefreshAsync(reader, kind);
        if (before is not null && list is not null && before.Hash != list.Hash)
        {
            // The catalogue has told everyone.
            return;
        }

        // Sessions with a link of their own hear it on that one.
        catalogue.DoubtOthers(link.Upstream.Name, kind);
        Broadcast?.Invoke(link.Upstream, session => session.ServerListChanged(link.Upstream, kind));
    }
}
