using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <summary>
/// Retries whose call waits at another replica, the holder: the request goes there by letter, and the call goes on there for it; what comes of it,
/// more questions too, comes back by letter, in order, to the POST that brought the retry.
/// </summary>
/// <remarks>
/// Only the holder can take a retry, and takes one: however many replicas get the same, and however often its letter is read, the call goes on for the first.
/// Where the holder is gone the call went with it, and the client is told that nobody knows its outcome; where the one that has the POST is gone,
/// its client has left, and the call is cancelled.
/// </remarks>
internal sealed partial class PassedRetries
{
    /// <summary>A retry for the holder: the subject is the asking replica, its key for the retry, and the holder.</summary>
    private const string RetryLetter = "retry";

    /// <summary>A notification that belongs to the retry of that key.</summary>
    private const string SaidLetter = "retry-said";

    /// <summary>The response to the retry of that key, with its HTTP status: more questions, or what became of the call.</summary>
    private const string AnsweredLetter = "retry-answered";

    /// <summary>The retry of that key is the right one, and its call is over: it is to be run anew.</summary>
    private const string AnewLetter = "retry-anew";

    /// <summary>Whoever should have had the retry of that key was taken over: its calls are gone.</summary>
    private const string GoneLetter = "retry-gone";

    /// <summary>The client closed the retry of that key.</summary>
    private const string LeftLetter = "retry-left";

    /// <summary>Why a retry is refused whose reference is no good.</summary>
    public const string UnknownReference = "requestState is not known for this request and user: it was used or has expired, or the request is another one. "
        + "Begin again without requestState and inputResponses; the earlier call may have been executed in part.";

    private readonly PassedTable<Passed> _passed;
    private readonly ConcurrentDictionary<string, PassedExchange> _held = new(StringComparer.Ordinal);
    private readonly ParkedCalls _parked;
    private readonly Peers _peers;
    private readonly Wishes _wishes;
    private readonly Discovery _discovery;
    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly CallsMetrics _metrics;
    private readonly ILogger<PassedRetries> _logger;

    public PassedRetries(ParkedCalls parked, Peers peers, CallRunner runner, Wishes wishes, Discovery discovery, ConfigStore config, TimeProvider time, CallsMetrics metrics, ILogger<PassedRetries> logger)
    {
        (_parked, _peers, _wishes, _discovery, _config, _time, _metrics, _logger) = (parked, peers, wishes, discovery, config, time, metrics, logger);
        _passed = new PassedTable<Passed>(peers, runner);
        peers.OnLetter(RetryLetter, TakeAsync);
        peers.OnLetter(SaidLetter, letter => Hear(letter, passed => passed.Exchange.Send(letter.Body.ToArray())));
        peers.OnLetter(AnsweredLetter, HearAnswer);
        peers.OnLetter(AnewLetter, letter => HearLast(letter.Subject, passed => passed.RunAnew()));
        peers.OnLetter(GoneLetter, letter =>
        {
            Lose(letter.Subject, "the gateway process that held it is gone");
            return Task.CompletedTask;
        });
        peers.OnLetter(LeftLetter, letter =>
        {
            Left(letter.Subject);
            return Task.CompletedTask;
        });
        peers.OnGone(Gone);
        peers.OnChanged(() => LoseAll(passed => passed.Asked != peers.Name, "this gateway process was taken for dead"));
        peers.OnLeaving(() => LoseAll(_ => true, "the gateway that waited for its answer stops"));
    }

    /// <summary>Brings a retry to the process that holds its call. Whatever comes of it ends the exchange.</summary>
    /// <param name="session">The session that stands for the client here; it says who asks, and where.</param>
    /// <param name="reference">What the client brought.</param>
    /// <param name="holder">Who gave it out; not this process.</param>
    /// <param name="exchange">The POST that it came on.</param>
    /// <param name="server">Where its call went, as far as that can be told.</param>
    /// <param name="runAnew">Runs the request from its beginning, should its call turn out to be over.</param>
    public void Pass(Session session, string reference, string holder, PostedExchange exchange, string server, Action runAnew)
    {
        var passed = new Passed(exchange, holder, _peers.Name, server, runAnew);
        var key = _passed.Add(passed);
        exchange.OnLeft = _ => Leave(key);
        if (!_peers.IsShared)
        {
            // Of the process that this one took the place of.
            Lose(key, "the gateway process that held it is gone");
            return;
        }

        byte[] body = [.. JsonText.Quote(session.Principal.Issuer), .. "\n"u8, .. JsonText.Quote(session.Principal.Subject), .. "\n"u8,
            .. session.Server is { } route ? JsonText.Quote(route) : [], .. "\n"u8, .. exchange.Request.Bytes];
        passed.Passing = PassAsync(key, passed, new Letter(reference, $"{passed.Asked} {key} {holder}", body));
    }

    private async Task PassAsync(string key, Passed passed, Letter letter)
    {
        using var limit = new CancellationTokenSource(_config.Current.Calls.Deadline, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, passed.Ended.Token);
        try
        {
            await _peers.WhileDoubtedAsync(passed.Holder, both.Token);
            if (await _peers.PostSurelyAsync(passed.Holder, RetryLetter, letter, cancel: both.Token))
            {
                GiveUpAsync(key, passed).Unawaited(_logger);
            }
            else
            {
                Lose(key, "the gateway process that held it is gone");
            }
        }
        catch (OperationCanceledException)
        {
            Lose(key, limit.IsCancellationRequested ? "the gateway process that holds it could not be reached" : "the gateway stopped while it was passed on");
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.NotPassed(_logger, e);
            Lose(key, "the gateway failed while it was passed on");
        }
    }

    /// <summary>The holder has its own deadlines; this is for one that lives and says nothing.</summary>
    private async Task GiveUpAsync(string key, Passed passed)
    {
        await Task.Delay(_config.Current.Calls.HardCap + Peers.Lease, _time, passed.Ended.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Lose(key, "the gateway process that holds it said nothing for too long");
    }

    /// <summary>The client closed the POST: so is the call, wherever it is.</summary>
    private void Leave(string key)
    {
        if (_passed.TryTake(key, out var passed))
        {
            TellAsync(passed).Unawaited(_logger);
        }

        async Task TellAsync(Passed left)
        {
            // Not before the retry itself, of which it would mean nothing.
            await left.Passing;
            await _peers.PostAsync(left.Holder, LeftLetter, new Letter("", key, default));
        }
    }

    private Task Hear(Letter letter, Action<Passed> what)
    {
        if (_passed.Find(letter.Subject) is { } passed)
        {
            what(passed);
        }

        return Task.CompletedTask;
    }

    private Task HearLast(string key, Action<Passed> what)
    {
        if (_passed.TryTake(key, out var passed))
        {
            what(passed);
        }

        return Task.CompletedTask;
    }

    private Task HearAnswer(Letter letter) => letter.Subject.Split(' ') is [var key, var status] && int.TryParse(status, CultureInfo.InvariantCulture, out var code)
        ? HearLast(key, passed => passed.Exchange.Finish(new Message(Frame.Parse(letter.Body.ToArray())), code))
        : Task.CompletedTask;

    // At the holder.
    private Task TakeAsync(Letter letter)
    {
        if (letter.Subject.Split(' ') is not [var asking, var key, var holder] || !TryRead(letter.Body, out var by, out var request))
        {
            return Task.CompletedTask;
        }

        if (holder != _peers.Name)
        {
            // Meant for one that this one took over: the calls are gone with it. Whoever asks may have heard of that before it asked, and would wait for ever.
            return _peers.PostAsync(asking, GoneLetter, new Letter("", key, default));
        }

        var queue = _peers.NewQueue(asking);
        if (Retry.Of(request, out _) is not { } retry || !_parked.TryTake(letter.Session, RetryKey.Of(by.Principal, by.Server, request), out var reply))
        {
            var refusal = Refusal.Invalid(UnknownReference);
            queue.Add(AnsweredLetter, Answer(key, JsonRpc.Error(request.Id, refusal.Code, refusal.Message), refusal.Status));
        }
        else if (reply is null)
        {
            queue.Add(AnewLetter, new Letter("", key, default));
        }
        else
        {
            var exchange = _held[key] = new PassedExchange(this, queue, asking, key, request, reply.Session);
            _ = GoOnAsync(reply, exchange, retry);
        }

        return Task.CompletedTask;
    }

    private async Task GoOnAsync(StatelessReply reply, PassedExchange exchange, Retry retry)
    {
        try
        {
            if (exchange.LogLevel is { } level)
            {
                await _wishes.NeedLevelAsync(reply.Session, level);
            }

            reply.Resume(exchange, retry.Answers);
            if (exchange.HasLeft)
            {
                // Before there was anybody to tell.
                exchange.Leave();
            }
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.Failed(_logger, e);
            exchange.Finish(new Message(Frame.Parse(JsonRpc.Error(exchange.Id.Span, JsonRpc.InternalError, "The gateway failed to go on with the call."))), StatusCodes.Status200OK);
        }
    }

    private void Left(string key)
    {
        if (_held.TryRemove(key, out var exchange))
        {
            exchange.Leave();
        }
    }

    private void Gone(string replica)
    {
        LoseAll(passed => passed.Holder == replica, "the gateway process that held it is gone");
        foreach (var (key, exchange) in _held)
        {
            if (exchange.Asking == replica)
            {
                Left(key);
            }
        }
    }

    private void LoseAll(Func<Passed, bool> which, string why)
    {
        foreach (var passed in _passed.TakeAll(which))
        {
            Lose(passed, why);
        }
    }

    private void Lose(string key, string why)
    {
        if (_passed.TryTake(key, out var passed))
        {
            Lose(passed, why);
        }
    }

    private void Lose(Passed passed, string why)
    {
        Log.Lost(_logger, passed.Server, passed.Holder, why);
        _metrics.UnknownOutcome(passed.Server, "replica_gone");
        var error = Frame.Parse(CallFailure.OutcomeUnknown.ToResponse(passed.Exchange.Id.Span, passed.Server, why));
        passed.Exchange.Finish(new Message(error), StatusCodes.Status200OK);
    }

    private static Letter Answer(string key, byte[] response, int status) => new("", string.Create(CultureInfo.InvariantCulture, $"{key} {status}"), response);

    private static bool TryRead(ReadOnlyMemory<byte> body, out (Principal Principal, string? Server) by, [NotNullWhen(true)] out Frame? request)
    {
        (by, request) = (default, null);
        var parts = new string[3];
        var at = 0;
        for (var i = 0; i < parts.Length; i++)
        {
            var length = body.Span[at..].IndexOf((byte)'\n');
            if (length < 0)
            {
                return false;
            }

            parts[i] = length == 0 ? "" : JsonText.Read(body.Span.Slice(at, length));
            at += length + 1;
        }

        by = (new Principal(parts[0], parts[1]), parts[2].Length == 0 ? null : parts[2]);
        request = Frame.Parse(body[at..].ToArray());
        return true;
    }

    /// <param name="Exchange">The POST that the retry came on.</param>
    /// <param name="Holder">Who has its call.</param>
    /// <param name="Asked">The name this replica had; answers go to that.</param>
    /// <param name="Server">Where the call went.</param>
    /// <param name="RunAnew">Runs the request from its beginning.</param>
    private sealed record Passed(PostedExchange Exchange, string Holder, string Asked, string Server, Action RunAnew) : PassedWork
    {
        /// <summary>Completes when it is at the holder, or will not get there.</summary>
        public Task Passing { get; set; } = Task.CompletedTask;
    }

    /// <summary>At the holder: what belongs to the retry goes back to the replica that has its POST.</summary>
    private sealed class PassedExchange(PassedRetries retries, LetterQueue queue, string asking, string key, Frame request, Session session)
        : StatelessExchange(request, retries._discovery, session)
    {
        private volatile bool _hasLeft;

        public string Asking => asking;

        public bool HasLeft => _hasLeft;

        public void Leave()
        {
            _hasLeft = true;
            retries._held.TryRemove(key, out _);
            OnLeft?.Invoke(this);
        }

        public override void Send(byte[] line)
        {
            queue.Add(SaidLetter, new Letter("", key, line));
            CheckAsync(queue.Posted).Unawaited(retries._logger);
        }

        public override Task TakenAsync() => queue.Posted;

        public override bool Finish(Message answer, int status)
        {
            // A client that leaves before it has this is one that does not come back, as with any answer that is under way.
            retries._held.TryRemove(key, out _);
            queue.Add(AnsweredLetter, Answer(key, answer.ToArray(), status));
            answer.Frame.Dispose();
            return true;
        }

        /// <summary>Where nobody can be told any more, the one that had the POST went before it was known here.</summary>
        private async Task CheckAsync(Task<bool> posted)
        {
            if (!await posted)
            {
                Leave();
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(141, LogLevel.Information, "A call to server {Server} that waited for its client at replica {Holder} is ended here as of unknown outcome: {Why}.", EventName = "RetryLost")]
        public static partial void Lost(ILogger logger, string server, string holder, string why);

        [LoggerMessage(145, LogLevel.Error, "Passing on a retry to the replica that holds its call failed.", EventName = "RetryNotPassed")]
        public static partial void NotPassed(ILogger logger, Exception exception);

        [LoggerMessage(142, LogLevel.Error, "Going on with a call for a retry that came to another replica failed.", EventName = "RetryFailed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
