using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>
/// One POST of a client without sessions, and its answer: a JSON body where that comes within the grace and nothing is to be said before, else an
/// event stream without event ids, for there is no way back to it (2026-07-28, basic/transports/streamable-http, "Receiving Messages").
/// Whoever made it awaits <see cref="WaitAsync"/> and shows what came of it; calls write to it from anywhere.
/// </summary>
internal sealed class PostedExchange : StatelessExchange, IUndecided, IValueTaskSource
{
    private readonly Lock _gate = new();
    private readonly HttpContext _context;
    private readonly FrontDoorServices _services;
    private SseConnection? _connection;
    private ManualResetValueTaskSourceCore<bool> _decided;
    private Message _answer;
    private int _status;
    private bool _hasAnswer;
    private bool _isOver;

    /// <param name="context">The POST.</param>
    /// <param name="request">The request in it; its buffer must last as long as the exchange.</param>
    /// <param name="discovery">Knows who answers.</param>
    /// <param name="session">Stands for the client.</param>
    /// <param name="services">Shared parts.</param>
    public PostedExchange(HttpContext context, Frame request, Discovery discovery, Session session, FrontDoorServices services)
        : base(request, discovery, session)
    {
        _context = context;
        _services = services;
        services.Grace.Add(this);
    }

    public IHeaderDictionary Headers => _context.Request.Headers;

    // The grace queue's own fields; see there.
    public IUndecided? Previous { get; set; }

    public IUndecided? Next { get; set; }

    public long Due { get; set; }

    public bool IsQueued { get; set; }

    /// <summary>The call's own side of it, where there is one in this process.</summary>
    public StatelessReply? Reply { get; set; }

    /// <summary>What shows the answer, where it became an event stream; known once <see cref="WaitAsync"/> completed.</summary>
    public SseConnection? Stream => _connection;

    /// <summary>Has it hear of its client's leaving, until that is disposed.</summary>
    public CancellationTokenRegistration WatchClient() => _context.RequestAborted.UnsafeRegister(static state => ((PostedExchange)state!).Leave(), this);

    /// <summary>Completes when it is known what the answer is, or that nobody waits for one.</summary>
    public ValueTask WaitAsync() => new(this, _decided.Version);

    /// <summary>Writes the answer that is complete, where the client has not left.</summary>
    public void WriteWhole()
    {
        if (!_hasAnswer)
        {
            return;
        }

        if (_services.HasLeft(_context))
        {
            _services.Calls.Undeliverable();
            return;
        }

        var response = _context.Response;
        response.StatusCode = _status;
        if (_status == StatusCodes.Status503ServiceUnavailable)
        {
            response.Headers.RetryAfter = Answers.StoreRetryAfter;
        }
        else if (_status == StatusCodes.Status429TooManyRequests)
        {
            response.Headers.RetryAfter = Answers.CrowdedRetryAfter;
        }

        response.ContentType = "application/json";
        response.ContentLength = _answer.Length;
        _answer.WriteTo(response.BodyWriter);
        _answer.Frame.Dispose();
        if (Reply is { IsAnswered: true })
        {
            // Nobody needs the request for it any more.
            Request.Dispose();
        }
    }

    public override void Send(byte[] line) => Open()?.WriteMessage(id: null, line);

    public override Task TakenAsync() => _connection?.TakenAsync() ?? Task.CompletedTask;

    public void OnGraceOver() => Open();

    public override bool Finish(Message answer, int status)
    {
        SseConnection? connection;
        lock (_gate)
        {
            if (_isOver)
            {
                _services.Calls.Undeliverable();
                return false;
            }

            _isOver = true;
            (_answer, _status, _hasAnswer, connection) = (answer, status, true, _connection);
        }

        _services.Grace.Remove(this);
        if (connection is null)
        {
            _decided.SetResult(true);
            return true;
        }

        connection.WriteMessage(id: null, answer.ToLine());
        answer.Frame.Dispose();
        connection.Complete(StreamReason.Answered, ClosedBy.Gateway);
        return true;
    }

    /// <summary>Nothing is written for it any more, whatever comes: somebody else answers the request.</summary>
    public void Withdraw()
    {
        lock (_gate)
        {
            _isOver = true;
        }

        _services.Grace.Remove(this);
    }

    /// <summary>The stream, begun where it was not yet; null once the client has its answer or is gone.</summary>
    private SseConnection? Open()
    {
        SseConnection connection;
        lock (_gate)
        {
            if (_isOver || _connection is not null)
            {
                return _isOver ? null : _connection;
            }

            connection = new SseConnection(_context, _services.Streams, "post") { Era = "stateless", OutlivesItsPass = true, OnEnded = _ => Leave() };
            connection.Start();
            _connection = connection;
        }

        _services.Grace.Remove(this);
        _decided.SetResult(true);
        return connection;
    }

    /// <summary>The client closed its stream, or can no longer be reached on it: the request is cancelled (2026-07-28, basic/patterns/cancellation).</summary>
    private void Leave()
    {
        bool wasDecided;
        lock (_gate)
        {
            if (_isOver)
            {
                return;
            }

            _isOver = true;
            wasDecided = _connection is not null;
        }

        _services.Grace.Remove(this);
        OnLeft?.Invoke(this);
        if (!wasDecided)
        {
            _decided.SetResult(true);
        }
    }

    void IValueTaskSource.GetResult(short token) => _decided.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _decided.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _decided.OnCompleted(continuation, state, token, flags);
}
