using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <summary>
/// Calls to a server whose process for this session runs at another replica, its home: the request goes there by letter, is run there like
/// any other, and what comes of it comes back by letter, in order. When the home dies, what ran there ends as outcome unknown.
/// </summary>
internal sealed partial class HomeCalls : IHeartbeatHandler
{
    /// <summary>A request for the home: the subject is the asking replica and its key for the request.</summary>
    private const string CallLetter = "call";

    /// <summary>A notification or a server's request that belongs to the call of that key.</summary>
    private const string SaidLetter = "said";

    /// <summary>The response to the request of that key.</summary>
    private const string AnsweredLetter = "answered";

    /// <summary>The client cancelled the request of that key: there is no response.</summary>
    private const string DroppedLetter = "dropped";

    private const int MostTries = 3;

    private static long s_lastKey;

    private readonly ConcurrentDictionary<string, Passed> _passed = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<PassedReply, bool> _replies = new();
    private readonly SessionTable _sessions;
    private readonly Peers _peers;
    private readonly CallRunner _runner;
    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly CallsMetrics _metrics;
    private readonly ILogger<HomeCalls> _logger;
    private long _nextLook;

    public HomeCalls(SessionTable sessions, Peers peers, CallRunner runner, ConfigStore config, TimeProvider time, CallsMetrics metrics, ILogger<HomeCalls> logger)
    {
        (_sessions, _peers, _runner, _config, _time, _metrics, _logger) = (sessions, peers, runner, config, time, metrics, logger);
        peers.OnLetter(CallLetter, TakeCallAsync);
        peers.OnLetter(SaidLetter, letter => Told(letter, passed => passed.Reply.Send(letter.Body.ToArray())));
        peers.OnLetter(AnsweredLetter, letter => Ended(letter, passed => passed.Reply.Complete(passed.ClientId, letter.Body.ToArray())));
        peers.OnLetter(DroppedLetter, letter => Ended(letter, passed => passed.Reply.Abandon(passed.ClientId)));
        peers.OnGone(replica => EndAll(passed => passed.Home == replica, "the gateway process that ran it is gone"));
        peers.OnChanged(() => EndAll(passed => passed.Asked != peers.Name, "this gateway process was taken for dead"));
    }

    /// <summary>Completes when what belongs to calls that ran here for others is in their mailboxes.</summary>
    public Task SettleAsync() => Task.WhenAll(_replies.Keys.Select(reply => reply.ReadyAsync()));

    /// <summary>Runs a request that came by letter; the router's.</summary>
    public Action<Session, Frame, Reply>? Run { get; set; }

    /// <summary>Whether a request may have to be run elsewhere. One that was passed on already is run here.</summary>
    public bool MayPass(Upstream upstream, Reply reply) => _peers.IsShared && upstream.HasHome && reply is not PassedReply;

    /// <summary>Has a request run at its home, or here where that is the home.</summary>
    /// <param name="session">Whose request it is.</param>
    /// <param name="upstream">The server it goes to.</param>
    /// <param name="request">The request as the client sent it.</param>
    /// <param name="reply">Where the answer goes.</param>
    /// <param name="here">Runs it in this process.</param>
    public async Task RunAsync(Session session, Upstream upstream, Frame request, Reply reply, Action here)
    {
        // The request's buffer goes back to the pool with its answer.
        var (id, body) = (request.Id.ToArray(), request.Bytes.ToArray());
        try
        {
            for (var tries = 1; tries <= MostTries; tries++)
            {
                var home = await session.Links.HomeOfAsync(upstream);
                if (home == _peers.Name)
                {
                    here();
                    return;
                }

                var deadline = upstream.Config.Deadline ?? _config.Current.Calls.Deadline;
                if (await PassOnAsync(new Passed(session.Id, upstream.Name, home, _peers.Name, deadline, _time.GetTimestamp(), id, reply), body))
                {
                    return;
                }

                // Nobody there any more; it is claimed anew.
                session.Links.ForgetHome(upstream);
            }
        }
        catch (StoreException e)
        {
            LogStoreFailed(_logger, e);
        }

        reply.Complete(id, CallFailure.UpstreamUnreachable.ToResponse(id, upstream.Name, "the gateway process that has its link cannot be reached"));
    }

    private async Task<bool> PassOnAsync(Passed passed, byte[] body)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{_peers.Name}-{Interlocked.Increment(ref s_lastKey)}");
        _passed[key] = passed;
        _runner.Passed();
        try
        {
            return await _peers.PostSurelyAsync(passed.Home, CallLetter, new Letter(passed.Session, $"{_peers.Name} {key}", body), passed.Ended.Token) || !TryTake(key, out _);
        }
        catch (OperationCanceledException)
        {
            // It was ended meanwhile, or the process ends; whether the letter is there nobody can tell.
            if (TryTake(key, out _))
            {
                Lose(passed, "the gateway stopped while it was passed on");
            }

            return true;
        }
    }

    /// <summary>The home has its own deadlines; this is for one that lives and says nothing, or cannot.</summary>
    public void OnHeartbeat(long now)
    {
        if (_passed.IsEmpty || now < _nextLook)
        {
            return;
        }

        _nextLook = now + _time.TimestampFrequency;
        var hardCap = _config.Current.Calls.HardCap + Peers.Lease;
        EndAll(
            passed => _time.GetElapsedTime(passed.Began, now) > hardCap || _time.GetElapsedTime(passed.Heard, now) > passed.Deadline + Peers.Lease,
            "the gateway process that ran it said nothing for too long");
    }

    private async Task TakeCallAsync(Letter letter)
    {
        if (letter.Subject.Split(' ') is not [var asking, var key])
        {
            return;
        }

        var reply = new PassedReply(this, asking, letter.Session, key);
        if (await _sessions.ForPeerAsync(letter.Session) is not { } session)
        {
            reply.Abandon(default);
            return;
        }

        _replies[reply] = true;
        session.Seen();
        Run!(session, Frame.Parse(letter.Body.ToArray()), reply);
    }

    private Task Told(Letter letter, Action<Passed> what)
    {
        if (_passed.TryGetValue(letter.Subject, out var passed))
        {
            passed.Heard = _time.GetTimestamp();
            what(passed);
        }

        return Task.CompletedTask;
    }

    private Task Ended(Letter letter, Action<Passed> what)
    {
        if (TryTake(letter.Subject, out var passed))
        {
            what(passed);
        }

        return Task.CompletedTask;
    }

    /// <summary>The gateway stops: nobody is left here whom the homes could answer.</summary>
    public void End() => EndAll(_ => true, "the gateway that waited for its answer stops");

    /// <summary>Ends calls whose outcome nobody can tell any more.</summary>
    private void EndAll(Func<Passed, bool> which, string why)
    {
        foreach (var (key, passed) in _passed)
        {
            if (which(passed) && TryTake(key, out _))
            {
                Lose(passed, why);
            }
        }
    }

    private void Lose(Passed passed, string why)
    {
        _metrics.UnknownOutcome(passed.Server, "replica_gone");
        passed.Reply.Complete(passed.ClientId, CallFailure.OutcomeUnknown.ToResponse(passed.ClientId, passed.Server, why));
    }

    /// <summary>True once for each, for whoever ends it.</summary>
    private bool TryTake(string key, [NotNullWhen(true)] out Passed? passed)
    {
        if (!_passed.TryRemove(key, out passed))
        {
            return false;
        }

        passed.Ended.Cancel();
        _runner.Returned();
        return true;
    }

    /// <param name="Session">Whose request.</param>
    /// <param name="Server">Its server.</param>
    /// <param name="Home">Who runs it.</param>
    /// <param name="Asked">The name this replica had; answers go to that.</param>
    /// <param name="Deadline">How long its server may be silent.</param>
    /// <param name="Began">A timestamp.</param>
    /// <param name="ClientId">The client's id, a raw JSON token.</param>
    /// <param name="Reply">Where the answer goes.</param>
    private sealed record Passed(string Session, string Server, string Home, string Asked, TimeSpan Deadline, long Began, byte[] ClientId, Reply Reply)
    {
        /// <summary>When the home last said something of it; a timestamp.</summary>
        public long Heard { get; set; } = Began;

        /// <summary>Ends the posting, should that still be tried.</summary>
        public CancellationTokenSource Ended { get; } = new();
    }

    /// <summary>At the home: what belongs to a call goes back to the replica that asked, one after the other.</summary>
    private sealed class PassedReply(HomeCalls home, string asking, string session, string key) : Reply
    {
        private readonly Lock _gate = new();
        private Task _posts = Task.CompletedTask;

        /// <summary>Its client may be there or not; what it is asked waits where its stream is.</summary>
        public override bool IsConnected => true;

        public override void Send(byte[] line) => Post(SaidLetter, line);

        public override Task ReadyAsync() => _posts;

        public override void Complete(ReadOnlyMemory<byte> requestId, Message response)
        {
            Post(AnsweredLetter, response.ToArray());
            response.Frame.Dispose();
            _ = ForgetAsync();
        }

        public override void Abandon(ReadOnlyMemory<byte> requestId)
        {
            Post(DroppedLetter, []);
            _ = ForgetAsync();
        }

        private async Task ForgetAsync()
        {
            await ReadyAsync();
            home._replies.TryRemove(this, out _);
        }

        private void Post(string kind, byte[] body)
        {
            lock (_gate)
            {
                _posts = PostAsync(_posts, kind, body);
            }
        }

        private async Task PostAsync(Task before, string kind, byte[] body)
        {
            await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await home._peers.PostSurelyAsync(asking, kind, new Letter(session, key, body));
            }
            catch (OperationCanceledException)
            {
                // The process ends. Whoever asked hears of that.
            }
        }
    }

    [LoggerMessage(410, LogLevel.Error, "The store failed, so where a call has to run could not be told.", EventName = "HomeNotKnown")]
    private static partial void LogStoreFailed(ILogger logger, Exception exception);
}
