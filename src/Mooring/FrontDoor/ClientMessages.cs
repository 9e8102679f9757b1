using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>What a client says that is no request: notifications, and answers to what servers asked.</summary>
internal sealed partial class ClientMessages
{
    /// <summary>Kind of letter: what a client said that concerns something another replica may have under way.</summary>
    private const string ClientLetter = "client";

    private static readonly TimeSpan PassOnTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Longest wait for the store to take a letter before the client is asked to say it again; as for a session that it has to be asked about.</summary>
    private static readonly TimeSpan PostPatience = TimeSpan.FromSeconds(4);

    private readonly SessionTable _sessions;
    private readonly Peers _peers;
    private readonly TimeProvider _time;
    private readonly ILogger<ClientMessages> _logger;

    public ClientMessages(SessionTable sessions, Peers peers, TimeProvider time, ILogger<ClientMessages> logger)
    {
        (_sessions, _peers, _time, _logger) = (sessions, peers, time, logger);
        peers.OnLetter(ClientLetter, letter =>
        {
            if (sessions.Known(letter.Session) is { } session)
            {
                // A server that does not take it must not keep other letters waiting.
                _ = TakeFromPeerAsync(session, Frame.Parse(letter.Body.ToArray()));
            }

            return Task.CompletedTask;
        });
    }

    /// <returns>False: it was for another replica, and the store did not take the letter. It must not be acknowledged: a server would wait for its answer, or a cancelled call go on.</returns>
    public async Task<bool> TakeAsync(Session session, Frame frame, CancellationToken cancel) =>
        await TakeHereAsync(session, frame, cancel) || await TellOthersAsync(session, frame) || frame.Method == McpMethod.Progress;

    /// <summary>Twice is as good as once: a question is answered once, a call ends once, and the rest says only that something changed.</summary>
    private async Task<bool> TellOthersAsync(Session session, Frame frame)
    {
        if (_peers.Others is not { Count: > 0 } others)
        {
            return true;
        }

        using var patience = new CancellationTokenSource(PostPatience, _time);
        try
        {
            var letter = new Letter(session.Id, "", frame.Memory);
            await Task.WhenAll(others.Select(other => _peers.PostSurelyAsync(other, ClientLetter, letter, cancel: patience.Token))).WaitAsync(patience.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task TakeFromPeerAsync(Session session, Frame frame)
    {
        using var limit = new CancellationTokenSource(PassOnTimeout, _time);
        try
        {
            await TakeHereAsync(session, frame, limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            Log.NotPassedOn(_logger, session.Server ?? "mooring", "what the client said");
        }
    }

    /// <returns>Whether this process was the one it was meant for; else another may be.</returns>
    private async Task<bool> TakeHereAsync(Session session, Frame frame, CancellationToken cancel)
    {
        if (frame.Kind is FrameKind.Result or FrameKind.Error)
        {
            // An answer nobody asked for is dropped: it must not reach any server.
            return await session.Questions.AnswerAsync(frame, cancel);
        }

        switch (frame.Method)
        {
            case McpMethod.Initialized:
                if (!session.Record.Initialized)
                {
                    await _sessions.ChangeAsync(session, record => record with { Initialized = true });
                }

                return true;
            case McpMethod.Cancelled:
                if (!frame.Envelope.RequestId.IsPresent)
                {
                    return true;
                }

                if (session.FindCall(frame.Span(frame.Envelope.RequestId)) is not { } call)
                {
                    return false;
                }

                call.Abandon("cancelled by the client", byClient: true);
                return true;
            case McpMethod.Progress:
                return await session.Questions.ProgressAsync(frame, cancel);
            default:
                // roots/list_changed, tasks/status and what no version knows yet: for every server of this session.
                // Not waited for: a server that does not take it must hold up neither the others nor the client.
                foreach (var link in session.Links.Open)
                {
                    if (Permits.OfNotification(session.Access, link.Upstream, frame))
                    {
                        _ = PassOnAsync(link, frame);
                    }
                }

                return false;
        }
    }

    private async Task PassOnAsync(Link link, Frame frame)
    {
        using var limit = new CancellationTokenSource(PassOnTimeout, _time);
        try
        {
            await link.SendAsync(frame.Memory, limit.Token);
        }
        catch (OperationCanceledException)
        {
            Log.NotPassedOn(_logger, link.Upstream.Name, frame.MethodName);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(140, LogLevel.Debug, "Server {Server} did not take {Method} in time.", EventName = "NotificationNotPassedOn")]
        public static partial void NotPassedOn(ILogger logger, string server, string method);
    }
}
