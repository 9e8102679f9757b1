using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <summary>
/// Calls to a server whose process for this session runs at another replica, its home: the request goes there by letter, is run there like
/// any other, and what comes of it comes back by letter, in order. When the home dies, what ran there ends as outcome unknown.
/// </summary>
/// <remarks>
/// A request runs at most once: its letter is off the mailbox before it is run, and only the one it is addressed to runs it. Whoever gets it
/// instead, or is about to stop, says that it has moved, and it is passed on anew. While nobody knows whether the home lives, it waits here.
/// </remarks>
internal sealed partial class HomeCalls : IHeartbeatHandler
{
    /// <summary>A request for the home: the subject is the asking replica, its key for the request, and the home it is meant for.</summary>
    private const string CallLetter = "call";

    /// <summary>A notification or a server's request that belongs to the call of that key.</summary>
    private const string SaidLetter = "said";

    /// <summary>As <see cref="SaidLetter"/>, but to be kept nowhere; no word of the server.</summary>
    private const string ShownLetter = "shown";

    /// <summary>The response to the request of that key.</summary>
    private const string AnsweredLetter = "answered";

    /// <summary>The client cancelled the request of that key: there is no response.</summary>
    private const string DroppedLetter = "dropped";

    /// <summary>The request of that key was not run by the one who got it, and will not be: the home is another one, or about to be.</summary>
    private const string MovedLetter = "moved";

    private readonly PassedTable<Passed> _passed;
    private readonly SessionTable _sessions;
    private readonly Peers _peers;
    private readonly CallRunner _runner;
    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly CallsMetrics _metrics;
    private readonly ILogger<HomeCalls> _logger;
    private long _nextLook;
    private volatile bool _leaves;

    public HomeCalls(SessionTable sessions, Peers peers, CallRunner runner, ConfigStore config, TimeProvider time, CallsMetrics metrics, ILogger<HomeCalls> logger)
    {
        (_sessions, _peers, _runner, _config, _time, _metrics, _logger) = (sessions, peers, runner, config, time, metrics, logger);
        _passed = new PassedTable<Passed>(peers, runner);
        peers.OnLetter(CallLetter, TakeCallAsync, once: true);
        peers.OnLetter(SaidLetter, letter => Told(letter, passed => passed.Request.Reply.Send(letter.Body.ToArray())));
        peers.OnLetter(ShownLetter, letter =>
        {
            _passed.Find(letter.Subject)?.Request.Reply.Show(letter.Body.ToArray());
            return Task.CompletedTask;
        });
        peers.OnLetter(AnsweredLetter, letter => Ended(letter, passed => Answer(passed.Request, letter.Body.ToArray())));
        peers.OnLetter(DroppedLetter, letter => Ended(letter, passed => Drop(passed.Request)));
        peers.OnLetter(MovedLetter, letter => Ended(letter, passed => PassAgainAsync(passed).Unawaited(_logger)));
        peers.OnGone(replica => EndAll(passed => passed.Home == replica && passed.IsPosted, "the gateway process that ran it is gone"));
        peers.OnChanged(() => EndAll(passed => passed.Asked != peers.Name, "this gateway process was taken for dead"));
        peers.OnLeaving(End);
    }

    /// <summary>Runs a request that came by letter; the router's.</summary>
    public Action<Session, Frame, Reply>? Run { get; set; }

    /// <summary>Whether a request may have to be run elsewhere. One that was passed on already is run here.</summary>
    public bool MayPass(Upstream upstream, Reply reply) => _peers.IsShared && upstream.HasHome && reply is not PassedReply;

    /// <summary>Whether what is answered on it came from another replica.</summary>
    public static bool IsPassed(Reply reply) => reply is PassedReply;

    /// <summary>
    /// Whether a request was passed on for another server than it would go to here: whoever passed it on has looked whether its caller may use that one,
    /// and only that one.
    /// </summary>
    public static bool IsMeantForAnother(Reply reply, Upstream upstream) => reply is PassedReply { MeantFor: { } meant } && meant != upstream.Name;

    /// <summary>Has a request run at its home, or here where that is the home.</summary>
    /// <param name="session">Whose request it is.</param>
    /// <param name="upstream">The server it goes to.</param>
    /// <param name="request">The request as the client sent it.</param>
    /// <param name="reply">Where the answer goes.</param>
    /// <param name="here">Runs it in this process.</param>
    public Task RunAsync(Session session, Upstream upstream, Frame request, Reply reply, Action here)
    {
        // The request's buffer goes back to the pool with its answer.
        var asked = new Asked(KeyOf(session, request.Id), request.Id.ToArray(), request.Bytes.ToArray(), reply, here, _time.GetTimestamp());
        _asked[asked.Key] = asked;
        return RunAsync(session, upstream, asked);
    }

    /// <param name="session">Whose request it is.</param>
    /// <param name="upstream">The server it goes to.</param>
    /// <param name="asked">The request.</param>
    /// <param name="left">Its home until now, which does not run it, since it goes or is gone.</param>
    private async Task RunAsync(Session session, Upstream upstream, Asked asked, string? left = null)
    {
        var deadline = upstream.Config.Deadline ?? _config.Current.Calls.Deadline;
        _runner.Passed();
        try
        {
            if (left is not null)
            {
                await session.Links.ReleaseHomeAsync(upstream, left);
            }

            while (!_leaves && _time.GetElapsedTime(asked.Began) < deadline)
            {
                var home = await session.Links.HomeOfAsync(upstream);
                if (home == _peers.Name)
                {
                    RunHere(asked);
                    return;
                }

                if (await PassOnAsync(new Passed(session, upstream, asked, home, _peers.Name, deadline, _time.GetTimestamp())))
                {
                    return;
                }

                // Nobody there any more; it is claimed anew.
                session.Links.ForgetHome(upstream);
                if (!IsStillWanted(asked))
                {
                    return;
                }
            }
        }
        catch (StoreException e)
        {
            Log.StoreFailed(_logger, e.Message);
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever; its home may have it.
            Log.RunFailed(_logger, e, upstream.Name);
            Answer(asked, CallFailure.OutcomeUnknown.ToResponse(asked.Id, upstream.Name, "the gateway failed while it was passed on"));
            return;
        }
        finally
        {
            _runner.Returned();
        }

        Answer(asked, CallFailure.UpstreamUnreachable.ToResponse(asked.Id, upstream.Name, "the gateway process that has its link cannot be reached"));
    }

    private Task PassAgainAsync(Passed passed)
    {
        if (passed.IsUnsure)
        {
            // Of a letter that was posted twice, the first may have been read.
            Lose(passed, "the gateway process that may have run it is gone");
            return Task.CompletedTask;
        }

        if (!IsStillWanted(passed.Request))
        {
            return Task.CompletedTask;
        }

        _runner.Moved(Frame.Parse(passed.Request.Body), passed.Upstream.Name, passed.Home);
        return RunAsync(passed.Session, passed.Upstream, passed.Request, left: passed.Home);
    }

    /// <returns>False when its home is gone without having got it.</returns>
    private async Task<bool> PassOnAsync(Passed passed)
    {
        var key = _passed.Add(passed);
        try
        {
            if (passed.Request.WaitsFor(passed))
            {
                await _peers.WhileDoubtedAsync(passed.Home, passed.Ended.Token);
            }

            var letter = new Letter(passed.Session.Id, $"{passed.Asked} {key} {passed.Home} {Uri.EscapeDataString(passed.Upstream.Name)}", passed.Request.Body);
            if (await _peers.PostSurelyAsync(passed.Home, CallLetter, letter, () => passed.IsUnsure = true, passed.Request.TryPost, passed.Request.WasNotPosted, passed.Ended.Token) || !_passed.TryTake(key, out _))
            {
                return true;
            }

            if (passed.IsUnsure)
            {
                Lose(passed, "the gateway process that may have run it is gone");
            }

            return passed.IsUnsure;
        }
        catch (OperationCanceledException)
        {
            // It was ended or cancelled meanwhile, or the process ends.
            if (_passed.TryTake(key, out _) && (passed.IsPosted || IsStillWanted(passed.Request)))
            {
                Lose(passed, "the gateway stopped while it was passed on");
            }

            return true;
        }
    }

    /// <summary>The home has its own deadlines; this is for one that lives and says nothing, or of which nobody knows whether it lives.</summary>
    public void OnHeartbeat(long now)
    {
        if ((_asked.IsEmpty && _passed.IsEmpty) || now < _nextLook)
        {
            return;
        }

        _nextLook = now + _time.TimestampFrequency;
        foreach (var (_, asked) in _asked)
        {
            asked.Reply.Look(now);
        }

        var hardCap = _config.Current.Calls.HardCap + Peers.Lease;
        EndAll(
            passed => passed.IsPosted
                ? _time.GetElapsedTime(passed.Began, now) > hardCap || _time.GetElapsedTime(passed.Heard, now) > passed.Deadline + Peers.Lease
                : _time.GetElapsedTime(passed.Request.Began, now) > passed.Deadline,
            "the gateway process that ran it said nothing for too long");
    }

    private async Task TakeCallAsync(Letter letter)
    {
        if (letter.Subject.Split(' ') is not [var asking, var key, .. var rest])
        {
            return;
        }

        if (_leaves || (rest is [var meant, ..] && meant != _peers.Name))
        {
            // Meant for one that this one took over, or come too late to be run to its end.
            await _peers.PostAsync(asking, MovedLetter, new Letter(letter.Session, key, default));
            return;
        }

        var reply = new PassedReply(_peers.NewQueue(asking), letter.Session, key)
        {
            Access = Access.Everything,
            MeantFor = rest is [_, var server] ? Uri.UnescapeDataString(server) : null,
        };
        if (await _sessions.ForPeerAsync(letter.Session) is not { } session)
        {
            reply.Abandon(default);
            return;
        }

        session.Seen();
        Run!(session, Frame.Parse(letter.Body.ToArray()), reply);
    }

    private Task Told(Letter letter, Action<Passed> what)
    {
        if (_passed.Find(letter.Subject) is { } passed)
        {
            passed.Heard = _time.GetTimestamp();
            what(passed);
        }

        return Task.CompletedTask;
    }

    private Task Ended(Letter letter, Action<Passed> what)
    {
        if (_passed.TryTake(letter.Subject, out var passed))
        {
            what(passed);
        }

        return Task.CompletedTask;
    }

    /// <summary>The gateway stops: nobody is left here whom the homes could answer, and nothing is begun for others any more.</summary>
    private void End()
    {
        _leaves = true;
        EndAll(_ => true, "the gateway that waited for its answer stops");
    }

    /// <summary>Ends calls whose outcome nobody can tell any more.</summary>
    private void EndAll(Func<Passed, bool> which, string why)
    {
        foreach (var passed in _passed.TakeAll(which))
        {
            Lose(passed, why);
        }
    }

    private void Lose(Passed passed, string why)
    {
        if (!TryEnd(passed.Request))
        {
            // Cancelled meanwhile.
            return;
        }

        var (id, server) = (passed.Request.Id, passed.Upstream.Name);
        Log.Lost(_logger, server, passed.Home, passed.IsPosted ? "may have been executed" : "was not executed", why);
        if (!passed.IsPosted)
        {
            passed.Request.Reply.Complete(id, CallFailure.UpstreamUnreachable.ToResponse(id, server, "the gateway process that has its link could not be given the call"));
            return;
        }

        _metrics.UnknownOutcome(server, "replica_gone");
        passed.Request.Reply.Complete(id, CallFailure.OutcomeUnknown.ToResponse(id, server, why));
    }

    /// <summary>At the home: what belongs to a call goes back to the replica that asked, one after the other.</summary>
    private sealed class PassedReply(LetterQueue queue, string session, string key) : Reply
    {
        /// <summary>The server that it was passed on for; null where an older release did not say it.</summary>
        public string? MeantFor { get; init; }

        /// <summary>Its client may be there or not; what it is asked waits where its stream is.</summary>
        public override bool IsConnected => true;

        public override void Send(byte[] line) => queue.Add(SaidLetter, new Letter(session, key, line));

        public override bool Show(byte[] line)
        {
            queue.Add(ShownLetter, new Letter(session, key, line));
            return true;
        }

        public override Task ReadyAsync() => queue.Posted;

        protected override void Finish(ReadOnlyMemory<byte> requestId, Message response)
        {
            queue.Add(AnsweredLetter, new Letter(session, key, response.ToArray()));
            response.Frame.Dispose();
        }

        protected override void Drop(ReadOnlyMemory<byte> requestId) => queue.Add(DroppedLetter, new Letter(session, key, default));
    }

    private static partial class Log
    {
        [LoggerMessage(412, LogLevel.Error, "Passing on a call to server {Server} failed.", EventName = "HomeCallFailed")]
        public static partial void RunFailed(ILogger logger, Exception exception, string server);

        [LoggerMessage(410, LogLevel.Error, "The store failed, so where a call has to run could not be told: {Reason}", EventName = "HomeNotKnown")]
        public static partial void StoreFailed(ILogger logger, string reason);

        [LoggerMessage(411, LogLevel.Warning, "A call to server {Server} that runs at replica {Home} {Executed}, and is ended here: {Why}.", EventName = "HomeCallLost")]
        public static partial void Lost(ILogger logger, string server, string home, string executed, string why);
    }
}
