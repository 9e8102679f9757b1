using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>What a client says that is no request: notifications, and answers to what servers asked.</summary>
internal sealed partial class ClientMessages(SessionTable sessions, TimeProvider time, ILogger<ClientMessages> logger)
{
    private static readonly TimeSpan PassOnTimeout = TimeSpan.FromSeconds(10);

    public async Task TakeAsync(Session session, Frame frame, CancellationToken cancel)
    {
        if (frame.Kind is FrameKind.Result or FrameKind.Error)
        {
            // An answer nobody asked for is dropped: it must not reach any server.
            await session.Questions.AnswerAsync(frame, cancel);
            return;
        }

        switch (frame.Method)
        {
            case McpMethod.Initialized:
                if (!session.Record.Initialized)
                {
                    await sessions.ChangeAsync(session, record => record with { Initialized = true });
                }

                break;
            case McpMethod.Cancelled:
                if (frame.Envelope.RequestId.IsPresent && session.FindCall(frame.Span(frame.Envelope.RequestId)) is { } call)
                {
                    call.Abandon("cancelled by the client", byClient: true);
                }

                break;
            case McpMethod.Progress:
                await session.Questions.ProgressAsync(frame, cancel);
                break;
            default:
                // roots/list_changed, tasks/status and what no version knows yet: for every server of this session.
                // Not waited for: a server that does not take it must hold up neither the others nor the client.
                foreach (var link in session.Links.Open)
                {
                    _ = PassOnAsync(link, frame);
                }

                break;
        }
    }

    private async Task PassOnAsync(Link link, Frame frame)
    {
        using var limit = new CancellationTokenSource(PassOnTimeout, time);
        try
        {
            await link.SendAsync(frame.Memory, limit.Token);
        }
        catch (OperationCanceledException)
        {
            Log.NotPassedOn(logger, link.Upstream.Name, frame.MethodName);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(140, LogLevel.Debug, "Server {Server} did not take {Method} in time.", EventName = "NotificationNotPassedOn")]
        public static partial void NotPassedOn(ILogger logger, string server, string method);
    }
}
