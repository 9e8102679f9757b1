using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>What a client asks to hear of: log level and subscriptions. The session's record keeps them, so that every link it ever has gets them.</summary>
internal sealed class Wishes(TimeProvider time, UpstreamTable upstreams, Views views, SessionTable sessions, SharedLinks shared)
{
    /// <summary>How long a new log level waits for servers to take it.</summary>
    private static readonly TimeSpan LevelPatience = TimeSpan.FromSeconds(2);

    /// <summary>Takes a log level; <paramref name="forward"/> has its server answer where the session has only one, and then remembers.</summary>
    public async Task SetLevelAsync(Session session, Frame request, Reply reply, Action<Func<Frame, Task<string?>>> forward)
    {
        var level = request.Text(request.Envelope.Level);
        if (!LogLevels.IsLevel(level))
        {
            reply.Refuse(request, JsonRpc.InvalidParams, $"Unknown log level: {level}");
            return;
        }

        if (session.Server is { } name && upstreams.Find(name) is { IsPerSession: true })
        {
            // Its server has the say; the gateway remembers.
            forward(_ => SaveAsync(session, r => r with { LogLevel = level }));
            return;
        }

        if (await SaveAsync(session, r => r with { LogLevel = level }) is { } why)
        {
            reply.Refuse(request, JsonRpc.InternalError, why);
            return;
        }

        await TellAsync(session, level);
        reply.Answer(request, "{}"u8);
    }

    /// <summary>
    /// Has the servers of a session say no less than one of its requests wants. The level is the session's, so it only ever becomes more verbose;
    /// what each request is shown of it is its reply's to say (2026-07-28, server/utilities/logging).
    /// </summary>
    public async Task NeedLevelAsync(Session session, string level)
    {
        if (session.Record.LogLevel is { } set && LogLevels.MoreVerbose(set, level) == set)
        {
            return;
        }

        await SaveAsync(session, r => r with { LogLevel = LogLevels.MoreVerbose(r.LogLevel, level) });
        await TellAsync(session, session.Record.LogLevel!);
    }

    /// <summary>Tells the servers before the client hears that it is done: what it calls next is logged as it asked.</summary>
    private async Task TellAsync(Session session, string level)
    {
        using var limit = new CancellationTokenSource(LevelPatience, time);
        var told = session.Links.Open
            .Where(link => JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, "logging"u8).IsPresent)
            .Select(link => link.SetLevelAsync(level, limit.Token))
            .Concat(upstreams.All.Where(u => !u.IsPerSession && (session.Server is null || session.Server == u.Name)).Select(shared.ReapplyAsync));
        try
        {
            await Task.WhenAll(told).WaitAsync(LevelPatience, time);
        }
        catch (TimeoutException)
        {
            // A server that does not answer hears it when it is back; the level is kept for that.
        }
    }

    /// <summary>Adds or takes away a subscription; as with the level.</summary>
    public Task SubscribeAsync(Session session, Frame request, Reply reply, Action<Func<Frame, Task<string?>>> forward)
    {
        var uri = request.Text(request.Envelope.Uri);
        var adds = request.Method == McpMethod.ResourcesSubscribe;
        if (!adds && views.ServerOf(session, uri) is { Upstream.IsPerSession: false } place && sessions.OthersSubscribe(session, place))
        {
            // The link is shared and others still listen.
            return AnswerAfterAsync(SaveAsync(session, r => r with { Subscriptions = [.. r.Subscriptions.Where(s => s != uri)] }), request, reply);
        }

        forward(_ => SaveAsync(session, r => r with
        {
            Subscriptions = adds ? [.. r.Subscriptions.Where(s => s != uri), uri] : [.. r.Subscriptions.Where(s => s != uri)],
        }));
        return Task.CompletedTask;
    }

    private static async Task AnswerAfterAsync(Task<string?> saving, Frame request, Reply reply)
    {
        if (await saving is { } why)
        {
            reply.Refuse(request, JsonRpc.InternalError, why);
        }
        else
        {
            reply.Answer(request, "{}"u8);
        }
    }

    private async Task<string?> SaveAsync(Session session, Func<Stores.SessionRecord, Stores.SessionRecord> change) =>
        await sessions.ChangeAsync(session, change) ? null : "the gateway's store is not reachable, so it could not be remembered";
}
