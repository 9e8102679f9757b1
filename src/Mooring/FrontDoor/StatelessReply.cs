using Microsoft.AspNetCore.Http;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <summary>
/// Where what belongs to one call of a client without sessions goes: to the POST that asked, or, when its server had to ask back first, to the POST
/// that brought the client's answers. Between the two the call is parked, and what ends it then is kept for the one that comes back.
/// </summary>
internal sealed partial class StatelessReply : Reply
{
    private readonly Lock _gate = new();
    private readonly ParkedCalls _parked;
    private readonly TaskThresholds _thresholds;
    private readonly TimeProvider _time;
    private readonly McpMethod _method;
    private StatelessExchange? _exchange;
    private Call? _call;
    private Frame? _outcome;
    private bool _hasLeft;
    private bool _isCrowded;
    private bool _isOver;

    /// <summary>It is refused since the store is away: the client may send it again.</summary>
    private bool _isForStore;

    public StatelessReply(Session session, PostedExchange exchange, ParkedCalls parked, TaskThresholds thresholds, TimeProvider time)
    {
        Session = session;
        _parked = parked;
        _thresholds = thresholds;
        _time = time;
        _method = exchange.Request.Method;
        _exchange = exchange;
        exchange.OnLeft = Left;
        Headers = ParamHeaders.In(exchange.Headers);
        Trace = TraceHeaders.Of(exchange.Headers);
    }

    /// <summary>Whether its time counts, or did: the business of <see cref="TaskThresholds"/>.</summary>
    public bool IsWatched { get; set; }

    public override bool IsConnected
    {
        get
        {
            lock (_gate)
            {
                return !_isOver;
            }
        }
    }

    public override IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    public override TimeSpan? ProgressEvery => Current?.ProgressEvery;

    /// <summary>The session that its call belongs to.</summary>
    public Session Session { get; }

    private StatelessExchange? Current
    {
        get
        {
            lock (_gate)
            {
                return _exchange;
            }
        }
    }

    /// <summary>Whether it was answered: nothing is written to it any more, and nothing of its request is needed.</summary>
    public bool IsAnswered { get; private set; }

    public override void Began(Call call)
    {
        lock (_gate)
        {
            _call = call;
        }

        if (_hasLeft)
        {
            Cancel(call);
        }
        else if (_task is null && Session.HasTasks)
        {
            _thresholds.Watch(this, call);
        }
    }

    public override void Send(byte[] line) => Send(line, place: null);

    public override void Send(byte[] line, CallCursor? place)
    {
        var frame = Frame.Parse(line);
        if (frame.Kind == FrameKind.Request)
        {
            Take(frame);
            return;
        }

        var exchange = Current;
        switch (frame.Method)
        {
            case McpMethod.Cancelled:
                TakeBack(frame);
                break;
            case McpMethod.Progress:
                SendProgress(exchange, frame);
                break;
            case McpMethod.Message when exchange?.LogLevel is { } level && LogLevels.Passes(frame, level):
                exchange.Send(line);
                break;
            case McpMethod.Other:
                // Of no version; it came on the request's own stream.
                exchange?.Send(line);
                break;
        }

        if (place is { IsBehindQuestion: false })
        {
            Reached(place);
        }
    }

    public override bool Show(byte[] line) => SendProgress(Current, Frame.Parse(line));

    public override Task ReadyAsync() => Current?.TakenAsync() ?? Task.CompletedTask;

    public override void RefuseForStore(Frame request, string why)
    {
        _isForStore = true;
        base.RefuseForStore(request, why);
    }

    protected override void Crowded() => _isCrowded = true;

    protected override void Finish(ReadOnlyMemory<byte> requestId, Message response)
    {
        StatelessExchange? exchange;
        List<Question> unanswered;
        lock (_gate)
        {
            _isOver = true;
            (exchange, _exchange) = (_exchange, null);
            if (exchange is null && _task is null)
            {
                // The client may come back with answers, and the server still want them.
                _outcome = response.Frame;
                return;
            }

            unanswered = TakeQuestionsLocked();
        }

        _thresholds.Forget(this);
        DeclineAsync(unanswered, CallIsOver).Unawaited(_parked.Logger);
        if (exchange is null)
        {
            EndTask(_task!, response.Frame);
        }
        else
        {
            Finish(exchange, response.Frame);
        }
    }

    protected override void Drop(ReadOnlyMemory<byte> requestId)
    {
        _thresholds.Forget(this);
        lock (_gate)
        {
            if (_hasLeft)
            {
                _isOver = true;
                _exchange = null;
                _task?.Cancelled();
                return;
            }
        }

        // Not by its client, which would not know what became of it.
        Complete(requestId, JsonRpc.Error(requestId.Span, JsonRpc.InternalError, "The request was cancelled by the gateway."));
    }

    private void Finish(StatelessExchange exchange, Frame answer)
    {
        if (answer.Kind == FrameKind.Error)
        {
            if (AskToVisit(exchange, answer))
            {
                return;
            }

            answer = Told(answer);
        }

        if (_undeclared?.Said(answer) is { } missing)
        {
            answer = Frame.Parse(missing);
        }

        IsAnswered = true;
        var (message, status) = StatelessAnswers.Dress(answer, _method, exchange.Id, exchange.ServerInfo, isServers: true, isPrivate: !Access.IsEverything);
        exchange.Finish(message, _isForStore ? StatusCodes.Status503ServiceUnavailable : _isCrowded ? StatusCodes.Status429TooManyRequests : status);
    }

    /// <summary>Under the token that this very request gave; one that gave none wants to hear of none.</summary>
    private static bool SendProgress(StatelessExchange? exchange, Frame frame)
    {
        if (exchange is null || exchange.Request.Envelope.MetaProgressToken is not { IsPresent: true } token || !frame.Envelope.ProgressToken.IsPresent)
        {
            return false;
        }

        exchange.Send(new Message(frame).Replace(frame.Envelope.ProgressToken, exchange.Request.Raw(token)).ToLine());
        return true;
    }

    private void Left(StatelessExchange exchange)
    {
        lock (_gate)
        {
            if (_exchange != exchange)
            {
                return;
            }
        }

        Leave();
    }

    /// <summary>Nobody waits any more.</summary>
    private void Leave()
    {
        Call? call;
        lock (_gate)
        {
            _hasLeft = true;
            call = _call;
        }

        if (call is not null)
        {
            Cancel(call);
        }
    }

    private static void Cancel(Call call) => call.Abandon("the client closed its request", byClient: true);
}
