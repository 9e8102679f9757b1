using System.Net.Http.Headers;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// A server without sessions (2026-07-28), as one that has them: level and subscriptions are kept here and said with each request or listened for,
/// the client's part is in every request, and a result that asks for more is had from the client and sent again. So router, lists, calls and
/// sessions need not know the difference. There is no session that could be lost.
/// </summary>
internal sealed partial class StatelessLink : Link
{
    /// <summary>How deep a message may be was checked when it came in.</summary>
    private static readonly FrameLimits AnyDepth = new(1_000_000);

    private readonly IStatelessLeg _leg;
    private readonly StatelessMemory _memory;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RequestMetadata _metadata;
    private readonly StatelessListener _listener;
    private readonly ListMemory _lists = new();
    private readonly CancellationTokenSource _closing = new();
    private volatile string? _level;
    private string? _closed;

    public StatelessLink(Upstream upstream, LinkParameters parameters, ILinkOwner owner, IStatelessLeg leg, StatelessMemory memory, TimeProvider time, ILogger logger)
        : base(upstream, parameters, owner)
    {
        _leg = leg;
        _memory = memory;
        _time = time;
        _logger = logger;
        _metadata = new RequestMetadata(parameters.InitializeParams);
        _listener = new StatelessListener(this, leg, _lists, memory, time, logger);
        leg.Attach(this);
    }

    public override bool IsUsable => Volatile.Read(ref _closed) is null && _leg.IsUsable;

    /// <summary>Each request stands for itself; a process of its own may still keep open what one of them opened, such as a browser.</summary>
    public override bool HoldsState => _leg.HoldsState;

    public override bool TellsRequests => _leg.TellsRequests;

    public override bool HasToListen => true;

    public override bool KeepsWishes => true;

    public override bool Listens => _listener.Listens;

    public override bool Tells(string capability) => _listener.Tells(capability);

    public override void Listen(string? after) => _listener.Start(_closing.Token);

    public override Task StopListeningAsync() => _listener.StopAsync();

    public override ValueTask<Attempt> CallAsync(PendingRequest request)
    {
        if (!IsUsable)
        {
            return new(Attempt.NotExecuted(_closed ?? _leg.EndReason));
        }

        if (request.ServerTask is { } task)
        {
            return FollowAsync(request, task, TimeSpan.Zero);
        }

        var said = InShape(request.ToMessage());
        return said.Frame.Method switch
        {
            McpMethod.Ping => PingAsync(request),
            McpMethod.SetLevel => new(TakeLevel(said, request.Id)),
            McpMethod.ResourcesSubscribe => SubscribeAsync(said, request),
            McpMethod.ResourcesUnsubscribe => new(Unsubscribe(said, request.Id)),
            _ => _leg.CallAsync(new FirstRound(this, request, said, _level)),
        };
    }

    /// <summary>Answers of the client to what was asked on this link; the rest of what is said to servers with sessions has no place here.</summary>
    public override ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel)
    {
        if (FrameReader.Read(json.Span, AnyDepth, out var envelope) is null && envelope.Kind is FrameKind.Result or FrameKind.Error)
        {
            TakeAnswer(Read(json.ToArray()));
        }

        return new(true);
    }

    public override Task<Attempt> ReinitializeAsync(string? lost, CancellationToken cancel) =>
        Task.FromResult(Attempt.NotExecuted("it has no sessions to renew"));

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.CompareExchange(ref _closed, "the gateway closed the link", null) is null)
        {
            await _closing.CancelAsync();
            ForgetQuestions();
        }

        await _listener.StopAsync();
        await _leg.DisposeAsync();
    }

    /// <summary>The leg is over.</summary>
    public void Ended(string why)
    {
        if (Interlocked.CompareExchange(ref _closed, why, null) is null)
        {
            _closing.Cancel();
            ForgetQuestions();
            Owner.OnClosed(this, why);
        }
    }

    /// <summary>A server of this version must not ask of its own accord.</summary>
    public void RefuseStray(Frame frame)
    {
        Log.StrayRequest(_logger, Upstream.Name, frame.MethodName);
        _leg.Refuse(frame.Id);
    }

    /// <summary>Sends a request of this link's own.</summary>
    internal ValueTask<Attempt> RoundAsync(string method, byte[] parameters, CancellationToken cancel)
    {
        var request = new OwnRequest(method, parameters, cancel);
        return RoundAsync(request, request.ToMessage(), more: []);
    }

    /// <summary>A request as this link sends it.</summary>
    /// <param name="said">As it would go to a server with sessions.</param>
    /// <param name="id">The id that it gets.</param>
    /// <param name="level">The log level that is asked for, or null.</param>
    /// <param name="more">Further params, raw properties; empty: none.</param>
    internal Message Write(Message said, long id, string? level, byte[] more) => _metadata.Put(said, id, level, more);

    /// <summary>
    /// A message in which everything stands where its frame has it. Nearly each is one; one that has more in it than its frame, such as a key of a call that
    /// may be repeated, is written and read once.
    /// </summary>
    private static Message InShape(Message message) => message.HasShapeOfFrame ? message : new Message(Read(message));

    private static Frame Read(Message message) => Read(message.ToArray());

    private static Frame Read(byte[] json) =>
        FrameReader.Take(json, json.Length, pooled: false, AnyDepth, out var fault) ?? throw new InvalidOperationException($"Not a frame: {fault!.Value.Message}");

    /// <summary>What comes of how a request ended that was sent for the first time. Nearly each is answered, and that is its end.</summary>
    internal ValueTask<Attempt> JudgeAsync(PendingRequest request, Message said, Attempt attempt) =>
        attempt is { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Result } answer } ? TakeResultAsync(request, said, answer) : RepairAsync(request, said, attempt);

    /// <summary>What comes of how the first sending ended, where that was no result.</summary>
    private async ValueTask<Attempt> RepairAsync(PendingRequest request, Message said, Attempt attempt)
    {
        attempt = await RepairedAsync(request, said, more: [], attempt);
        return attempt is { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Result } answer } ? await TakeResultAsync(request, said, answer) : attempt;
    }

    /// <summary>Does what can be done about a refusal, of whichever round.</summary>
    /// <param name="request">Who asked.</param>
    /// <param name="said">The request.</param>
    /// <param name="more">What it had beside that, to be sent again with it.</param>
    /// <param name="attempt">How it ended.</param>
    private async ValueTask<Attempt> RepairedAsync(PendingRequest request, Message said, byte[] more, Attempt attempt)
    {
        if (IsError(attempt, HeaderMismatch))
        {
            // Refused for what its headers said, before anything was done: the tool may have other ones by now.
            if (said.Frame.Method == McpMethod.ToolsCall && await ReadToolsAsync(request.Abandoned))
            {
                request.OnSentAgain("headers", ErrorText(attempt.Answer!));
                attempt = await RoundAsync(request, said, more);
            }
        }

        if (IsForeign(attempt))
        {
            attempt = await LookAgainAsync(attempt, request.Abandoned);
        }

        // Between it and the gateway; the client has said neither.
        return IsError(attempt, HeaderMismatch) || IsError(attempt, UnsupportedVersion) ? Attempt.Refused(ErrorText(attempt.Answer!)) : attempt;
    }

    /// <summary>Sends a request once.</summary>
    private ValueTask<Attempt> RoundAsync(PendingRequest request, Message said, byte[] more) =>
        _leg.CallAsync(new StatelessRound(this, request, said, _level, more));

    /// <summary>What the headers of a request repeat of its body.</summary>
    /// <param name="said">The request.</param>
    /// <param name="asked">Who asked; headers of the client's own are passed on.</param>
    /// <param name="headers">Where they go.</param>
    internal void Repeat(Message said, PendingRequest asked, HttpContentHeaders headers)
    {
        var frame = said.Frame;
        headers.TryAddWithoutValidation("Mcp-Method", frame.Method == McpMethod.ToolsCall ? "tools/call" : HeaderText.Encode(frame.MethodName));
        var name = frame.Method switch
        {
            McpMethod.ToolsCall or McpMethod.PromptsGet => frame.Envelope.Name,
            McpMethod.ResourcesRead => frame.Envelope.Uri,
            McpMethod.TasksGet or McpMethod.TasksUpdate or McpMethod.TasksCancel => frame.Envelope.TaskId,
            _ => default,
        };
        if (name.IsPresent)
        {
            var text = said.Text(name);
            headers.TryAddWithoutValidation("Mcp-Name", HeaderText.Encode(text));
            if (frame.Method == McpMethod.ToolsCall)
            {
                _memory.ToolHeaders.Add(text, frame, headers);
            }
        }

        var given = asked.Headers;
        for (var i = 0; i < given.Count; i++)
        {
            var (header, value) = given[i];
            if (!headers.NonValidated.Contains(header))
            {
                headers.TryAddWithoutValidation(header, value);
            }
        }
    }

    /// <summary>What may be passed on of a result; what has to be noted is.</summary>
    private ValueTask<Attempt> TakeResultAsync(PendingRequest request, Message said, Frame answer)
    {
        var method = said.Frame.Method;
        var result = answer.Span(answer.Envelope.Result);
        var kind = JsonFields.Find(result, "resultType"u8);
        switch (kind.IsPresent && !result.Slice(kind.Start, kind.Length).SequenceEqual("\"complete\""u8) ? JsonFields.String(result, "resultType"u8) : null)
        {
            // Older servers say none (2026-07-28, schema, "Result").
            case null or "complete":
                return new(Attempt.Answered(Noted(said.Frame, answer)));
            case "task" when method == McpMethod.ToolsCall:
                return FollowAsync(request, answer);
            case "input_required" when method is McpMethod.ToolsCall or McpMethod.PromptsGet or McpMethod.ResourcesRead:
                return request.PassesUnfinished() ? new(Passed(request, said, answer)) : AskAsync(request, said, answer);
            case var _ when DeclaresUnknown(said) && request.PassesUnfinished():
                // An extension that only the two of them know may have kinds of its own.
                return new(Attempt.Answered(answer));
            case var other:
                return new(WrongKind(request, other));
        }
    }

    /// <summary>Lists go through here whoever asks for them: the link learns what it has to know of tools, and of changes.</summary>
    private Frame Noted(Frame frame, Frame answer)
    {
        if (frame.Method is not (McpMethod.ToolsList or McpMethod.PromptsList or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList))
        {
            return answer;
        }

        if (frame.Method == McpMethod.ToolsList && _leg.TellsRequests
            && _memory.ToolHeaders.Learn(answer.Span(answer.Envelope.Result), Upstream.Name) is { } without)
        {
            answer = Read(JsonRpc.Result(answer.Id, without));
        }

        _lists.Note(frame.Method, frame.Envelope.Cursor.IsPresent ? frame.Text(frame.Envelope.Cursor) : "", answer.Span(answer.Envelope.Result));
        return answer;
    }

    /// <summary>Reads the list of tools for what their headers are.</summary>
    private async Task<bool> ReadToolsAsync(CancellationToken cancel)
    {
        byte[] parameters = [];
        for (var page = 0; page < ListMemory.MaxPages; page++)
        {
            var attempt = await RequestAsync("tools/list", parameters, cancel);
            if (attempt.Answer is not { Kind: FrameKind.Result } answer)
            {
                return false;
            }

            if (JsonFields.String(answer.Span(answer.Envelope.Result), "nextCursor"u8) is not { Length: > 0 } cursor)
            {
                return true;
            }

            parameters = [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
        }

        return true;
    }

    /// <summary>
    /// The server took the request and answered it, in a way that nobody here can read. Not an unknown outcome in the sense of a lost answer: it
    /// would answer the same again, so it is never sent again, and the server is well.
    /// </summary>
    private Attempt WrongKind(PendingRequest request, string kind)
    {
        Log.WrongKind(_logger, Upstream.Name, kind);
        return Own(request.Id, $"Server \"{Upstream.Name}\" answered with a result of the kind \"{kind}\", which the gateway does not know. It has received the request, and may have executed it; it is not sent again.");
    }

    /// <summary>An error of the gateway's own in place of an answer.</summary>
    private Attempt Own(long id, string message)
    {
        byte[] data = [.. "{\"mooring\":{\"reason\":\"wrong_answer\",\"server\":"u8, .. JsonText.Quote(Upstream.Name), .. ",\"executed\":\"unknown\"}}"u8];
        return Attempt.Answered(Frame.Parse(JsonRpc.Error(Digits(id), JsonRpc.InternalError, message, data)));
    }

    private static byte[] Digits(long id) => System.Text.Encoding.ASCII.GetBytes(id.ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static Attempt Done(long id) => Attempt.Answered(Frame.Parse(JsonRpc.Result(Digits(id), "{}"u8)));

    /// <summary>It has none of its own any more; what answers shows that the server is there.</summary>
    private async ValueTask<Attempt> PingAsync(PendingRequest request)
    {
        var attempt = await RoundAsync("server/discover", [], request.Abandoned);
        return attempt.Kind == AttemptKind.Answered ? Done(request.Id) : attempt;
    }

    private Attempt TakeLevel(Message said, long id)
    {
        var level = said.Frame.Envelope.Level;
        _level = level.IsPresent ? said.Text(level) : null;
        return Done(id);
    }

    private async ValueTask<Attempt> SubscribeAsync(Message said, PendingRequest request)
    {
        var uri = said.Text(said.Frame.Envelope.Uri);
        try
        {
            return await _listener.SubscribeAsync(uri, request.Abandoned)
                ? Done(request.Id)
                : Attempt.Answered(Frame.Parse(JsonRpc.Error(Digits(request.Id), JsonRpc.InvalidParams, $"The server does not tell of changes of {uri}.")));
        }
        catch (OperationCanceledException)
        {
            return Attempt.Abandoned("");
        }
    }

    private Attempt Unsubscribe(Message said, long id)
    {
        _listener.Unsubscribe(said.Text(said.Frame.Envelope.Uri));
        return Done(id);
    }

    private static partial class Log
    {
        [LoggerMessage(340, LogLevel.Warning, "Server {Server} asked {Method} of its own accord, which its version of the protocol (2026-07-28) does not have; it is refused.", EventName = "StatelessStrayRequest")]
        public static partial void StrayRequest(ILogger logger, string server, string method);

        [LoggerMessage(341, LogLevel.Warning, "Server {Server} answered with a result of the kind \"{Kind}\", which the gateway does not know.", EventName = "StatelessWrongKind")]
        public static partial void WrongKind(ILogger logger, string server, string kind);

        [LoggerMessage(352, LogLevel.Warning, "Server {Server} asked for {Method}, which the request did not declare that its client takes (2026-07-28, \"Multi Round-Trip Requests\"); the client is told what it would have to declare.", EventName = "StatelessAsksUndeclared")]
        public static partial void AsksUndeclared(ILogger logger, string server, string method);

        [LoggerMessage(342, LogLevel.Information, "Server {Server} does not answer as a server without sessions any more ({Why}); it is looked at anew.", EventName = "StatelessNoMore")]
        public static partial void NoMore(ILogger logger, string server, string why);
    }
}
