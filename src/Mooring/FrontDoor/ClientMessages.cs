using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Telemetry;
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
    private readonly HomeCalls _homes;
    private readonly TimeProvider _time;
    private readonly ILogger<ClientMessages> _logger;

    public ClientMessages(SessionTable sessions, Peers peers, HomeCalls homes, TimeProvider time, ILogger<ClientMessages> logger)
    {
        (_sessions, _peers, _homes, _time, _logger) = (sessions, peers, homes, time, logger);
        peers.OnLetter(ClientLetter, letter =>
        {
            if (sessions.Known(letter.Session) is { } session)
            {
                // A server that does not take it must not keep other letters waiting.
                TakeFromPeerAsync(session, Frame.Parse(letter.Body.ToArray())).Unawaited(_logger);
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
        var others = _peers.Others;
        if (DoubtedHomeOf(session, frame) is { } home)
        {
            others = [.. others, home];
        }

        if (others.Count == 0)
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

    /// <summary>The replica that may be running what was cancelled, and is not among those that live: it may be only slow.</summary>
    private string? DoubtedHomeOf(Session session, Frame frame) =>
        frame.Method == McpMethod.Cancelled && frame.Envelope.RequestId.IsPresent
        && _homes.HomeOf(session, frame.Span(frame.Envelope.RequestId)) is { } home && !_peers.Others.Contains(home) ? home : null;

    private async Task TakeFromPeerAsync(Session session, Frame frame)
    {
        using var limit = new CancellationTokenSource(PassOnTimeout, _time);
        try
        {
            if (!await TakeHereAsync(session, frame, limit.Token) && DoubtedHomeOf(session, frame) is { } home)
            {
                // Whoever got it from the client knows only that the home is not among those that live.
                await _peers.PostSurelyAsync(home, ClientLetter, new Letter(session.Id, "", frame.Memory), cancel: limit.Token);
            }
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

                return Cancel(session, frame.Span(frame.Envelope.RequestId));
            case McpMethod.Progress:
                return await session.Questions.ProgressAsync(frame, cancel);
            case McpMethod.TasksStatus:
                foreach (var link in session.Links.Open)
                {
                    TellOwnerAsync(session, link, frame).Unawaited(_logger);
                }

                return false;
            default:
                // roots/list_changed and what no version knows yet: for every server of this session.
                // Not waited for: a server that does not take it must hold up neither the others nor the client.
                foreach (var link in session.Links.Open)
                {
                    if (Permits.OfNotification(session.Access, link.Upstream, frame))
                    {
                        PassOnAsync(link, frame).Unawaited(_logger);
                    }
                }

                return false;
        }
    }

    /// <summary>How a task of the client's is doing is for the server that had it made.</summary>
    private async Task TellOwnerAsync(Session session, Link link, Frame frame)
    {
        try
        {
            if (Permits.OfNotification(session.Access, link.Upstream, frame) && await session.Links.HoldsClientTaskAsync(link.Upstream, frame))
            {
                await PassOnAsync(link, frame);
            }
        }
        catch (StoreException)
        {
            // It is told the more for those who wait: whoever wants to know asks.
            Log.NotPassedOn(_logger, link.Upstream.Name, frame.MethodName);
        }
    }

    /// <returns>Whether this process was to run the request, or runs it.</returns>
    private bool Cancel(Session session, ReadOnlySpan<byte> id)
    {
        if (session.FindCall(id) is null && _homes.Cancel(session, id))
        {
            return true;
        }

        // Looked for again: one that waited for its home may have been begun just between the two looks.
        if (session.FindCall(id) is not { } call)
        {
            return false;
        }

        call.Abandon("cancelled by the client", byClient: true);
        return true;
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
