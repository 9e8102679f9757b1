using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <content>
/// What the server asks the client in the middle of a call: the client gets it as the answer to its POST, with a reference to bring the answers back
/// with, and the call stays as it is (2026-07-28, basic/patterns/mrtr).
/// </content>
internal sealed partial class StatelessReply
{
    /// <summary>For the server to take what a client that never came back left unanswered.</summary>
    private static readonly TimeSpan DeclinePatience = TimeSpan.FromSeconds(2);

    private const string CallIsOver = "The call that it was asked for has ended.";

    private readonly List<Question> _questions = [];
    private bool _willAsk;
    private volatile UndeclaredQuestions? _undeclared;

    /// <summary>Puts the questions of its server to the client, all at once. Part of the heartbeat.</summary>
    public void Ask()
    {
        StatelessExchange? exchange;
        string? reference;
        List<Question> questions;
        lock (_gate)
        {
            _willAsk = false;
            exchange = _exchange;
            if (_isOver || exchange is null || _questions.Count == 0)
            {
                return;
            }

            questions = [.. _questions];
            reference = _parked.Park(this, RetryKey.Of(Session, exchange.Request));
            if (reference is null)
            {
                _questions.Clear();
            }
            else
            {
                _exchange = null;
            }
        }

        if (reference is null)
        {
            foreach (var question in questions)
            {
                Decline(question, JsonRpc.InternalError, "Too many calls wait for their clients' answers (limits.waitingCalls, limits.waitingCallsPerUser).").Unawaited(_parked.Logger);
            }
        }
        else if (!Put(exchange, reference, questions.Select(q => (q.Key, q.Request))))
        {
            // It left just now, and never saw the reference.
            _parked.Drop(reference);
            Leave();
        }
    }

    /// <summary>The client is back, with answers or without, on another POST: from here on the call goes on for that one.</summary>
    public void Resume(StatelessExchange exchange, IEnumerable<(string Key, byte[] Answer)> answers)
    {
        exchange.OnLeft = Left;
        Frame? outcome;
        List<(Question Question, byte[] Answer)> answered;
        List<Question> unanswered = [];
        lock (_gate)
        {
            (outcome, _outcome) = (_outcome, null);
            answered = TakeAnsweredLocked(answers);
            if (outcome is null)
            {
                _exchange = exchange;
            }
            else
            {
                unanswered = TakeQuestionsLocked();
            }
        }

        // Also where the server did not wait for them: one that asks on one channel for all calls waits for every answer.
        PassOn(answered);
        if (outcome is not null)
        {
            DeclineAsync(unanswered, CallIsOver).Unawaited(_parked.Logger);
            Finish(exchange, outcome);
            return;
        }

        if (_call is { } call && TasksExtension.IsIn(Capabilities))
        {
            _thresholds.Watch(this, call);
        }

        AskSoon();
    }

    private List<(Question Question, byte[] Answer)> TakeAnsweredLocked(IEnumerable<(string Key, byte[] Answer)> answers)
    {
        var answered = new List<(Question, byte[])>();
        foreach (var (key, answer) in answers)
        {
            // Unknown keys are nobody's: that question may have been answered, or taken back.
            if (_questions.Find(q => q.Key == key) is { } question)
            {
                _questions.Remove(question);
                answered.Add((question, answer));
            }
        }

        return answered;
    }

    private void PassOn(List<(Question Question, byte[] Answer)> answered)
    {
        foreach (var (question, answer) in answered)
        {
            Session.Questions.AnswerAsync(Frame.Parse(JsonRpc.Result(question.Id, answer)), CancellationToken.None).Unawaited(_parked.Logger);
        }
    }

    /// <summary>The client did not come back in time, or wants its task cancelled: the server is told no, and that nobody waits any more.</summary>
    public async Task ExpireAsync()
    {
        List<Question> questions;
        lock (_gate)
        {
            _hasLeft = true;
            questions = TakeQuestionsLocked();
        }

        try
        {
            await DeclineAsync(questions, "The client did not come back with an answer.").WaitAsync(DeclinePatience, _time);
        }
        catch (TimeoutException)
        {
            // It is cancelled all the same.
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>The server asks: what the client did not say it takes is not put to it.</summary>
    private void Take(Frame request)
    {
        Question? question = new(request.Id.ToArray(), Shown(request), request.Method == McpMethod.Elicit);
        if (!MayBeAsked)
        {
            Decline(question, JsonRpc.MethodNotFound, "The client can be asked nothing in the answer to this method.").Unawaited(_parked.Logger);
            return;
        }

        if (!ClientCapabilities.Allow(Capabilities, request))
        {
            Decline(question, JsonRpc.MethodNotFound, (_undeclared ??= new UndeclaredQuestions()).Refuse(request)).Unawaited(_parked.Logger);
            return;
        }

        lock (_gate)
        {
            if (!_isOver)
            {
                _questions.Add(question);
                ShowQuestionsLocked();
                question = null;
            }
        }

        if (question is not null)
        {
            DeclineAsync([question], CallIsOver).Unawaited(_parked.Logger);
            return;
        }

        AskSoon();
    }

    /// <summary>The server no longer wants to know.</summary>
    private void TakeBack(Frame notification)
    {
        var id = notification.Span(notification.Envelope.RequestId).ToArray();
        lock (_gate)
        {
            if (_questions.RemoveAll(q => q.Id.AsSpan().SequenceEqual(id)) > 0)
            {
                ShowQuestionsLocked();
            }
        }
    }

    private bool Put(StatelessExchange exchange, string reference, IEnumerable<(string Key, byte[] Request)> questions)
    {
        var result = JsonRpc.Result(exchange.Id.Span,
            [.. "{\"resultType\":\"input_required\",\"inputRequests\":{"u8, .. Asked(questions), .. "},\"requestState\":"u8, .. JsonText.Quote(reference), (byte)'}']);
        var (message, status) = StatelessAnswers.Dress(Frame.Parse(result), _method, exchange.Id, exchange.ServerInfo);
        return exchange.Finish(message, status);
    }

    /// <summary>The members of an object of requests.</summary>
    private static List<byte> Asked(IEnumerable<(string Key, byte[] Request)> questions)
    {
        var asked = new List<byte>();
        foreach (var (key, request) in questions)
        {
            asked.AddRange(asked.Count > 0 ? ","u8 : default);
            asked.AddRange([.. JsonText.Quote(key), (byte)':', .. request]);
        }

        return asked;
    }

    private void AskSoon()
    {
        lock (_gate)
        {
            if (_willAsk || _exchange is null || _questions.Count == 0)
            {
                return;
            }

            _willAsk = true;
        }

        _parked.AskSoon(this);
    }

    private List<Question> TakeQuestionsLocked()
    {
        List<Question> questions = [.. _questions];
        _questions.Clear();
        return questions;
    }

    /// <summary>Says no in the name of a client that says nothing any more: a server that waits for an answer must have one.</summary>
    private Task DeclineAsync(IEnumerable<Question> questions, string why) => Task.WhenAll(questions.Select(question => question.IsElicitation
        ? Session.Questions.AnswerAsync(Frame.Parse(JsonRpc.Result(question.Id, "{\"action\":\"cancel\"}"u8)), CancellationToken.None)
        : Decline(question, JsonRpc.InternalError, why)));

    private Task Decline(Question question, int code, string why) =>
        Session.Questions.AnswerAsync(Frame.Parse(JsonRpc.Error(question.Id, code, why)), CancellationToken.None);

    /// <summary>Whether the version lets an answer to this method ask back (2026-07-28, basic/patterns/mrtr).</summary>
    private bool MayBeAsked => _method is McpMethod.ToolsCall or McpMethod.PromptsGet or McpMethod.ResourcesRead;

    private ReadOnlySpan<byte> Capabilities => JsonFields.Object(Session.Record.InitializeParams.Span, "capabilities"u8);

    /// <summary>Method and params alone; a page to visit has no id of its own in this version (client/elicitation).</summary>
    private static byte[] Shown(Frame request)
    {
        var parameters = request.Envelope.Params.IsPresent ? request.Span(request.Envelope.Params) : default;
        return
        [
            .. "{\"method\":"u8, .. request.Span(request.Envelope.MethodText),
            .. parameters.IsEmpty ? [] : (byte[])[.. ",\"params\":"u8, .. request.Method == McpMethod.Elicit && parameters[0] == '{' ? JsonFields.Without(parameters, "elicitationId"u8) : parameters],
            (byte)'}',
        ];
    }

    /// <param name="Id">The gateway's own, as a JSON token.</param>
    /// <param name="Request">As the client sees it.</param>
    /// <param name="IsElicitation">Whether it can be answered with a plain no.</param>
    private sealed record Question(byte[] Id, byte[] Request, bool IsElicitation)
    {
        public string Key { get; } = "q" + System.Text.Encoding.ASCII.GetString(Id);
    }
}
