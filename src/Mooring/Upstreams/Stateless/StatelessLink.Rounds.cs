using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <content>
/// Results that ask for more (2026-07-28, basic/patterns/mrtr). Each of their questions becomes a request of the server to the client, on the stream of
/// the call; with the answers the call is sent again, as another request.
/// </content>
internal sealed partial class StatelessLink
{
    /// <summary>How often one call may ask for more: beyond, the server would only go on for ever.</summary>
    internal const int MaxRounds = 10;

    /// <summary>How often the answers are sent where the server cannot be reached with them.</summary>
    private const int MaxTries = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);

    private static long s_lastQuestion;

    private readonly ConcurrentDictionary<long, TaskCompletionSource<Frame>> _questions = new();

    /// <summary>
    /// A result that asks for more, for a client that understands it. What that has not declared it cannot be asked, and a server must not (2026-07-28,
    /// basic/patterns/mrtr, "Server Requirements"): the client is told what it would have to declare, as the server should have told it.
    /// </summary>
    private Attempt Passed(PendingRequest request, Message said, Frame answer)
    {
        var asked = DeclaresUnknown(said) ? [] : InputRequests(answer.Span(answer.Envelope.Result).ToArray());
        foreach (var (_, method, parameters) in asked)
        {
            if (method.Length == 0)
            {
                return OfNoKind(request);
            }

            var question = Read(JsonRpc.Request(1, method, parameters));
            if (!ClientCapabilities.Allow(DeclaredIn(said), question))
            {
                Log.AsksUndeclared(_logger, Upstream.Name, method);
                var why = $"Server \"{Upstream.Name}\" asked for {method}, which the request did not declare that its client takes. It has begun to execute the request, and it is not sent again.";
                return ClientCapabilities.Required(question) is { } required
                    ? Attempt.Answered(Frame.Parse(JsonRpc.Error(Digits(request.Id), JsonRpc.MissingCapability, why, [.. "{\"requiredCapabilities\":"u8, .. System.Text.Encoding.ASCII.GetBytes(required), (byte)'}'])))
                    : Own(request.Id, why);
            }
        }

        return Attempt.Answered(answer);
    }

    private Attempt OfNoKind(PendingRequest request) =>
        Own(request.Id, $"Server \"{Upstream.Name}\" asked for input without a method. It has begun to execute the request, and it is not sent again.");

    private static ReadOnlySpan<byte> DeclaredIn(Message said) =>
        said.Frame.ClientMeta.ClientCapabilities is { IsPresent: true } at ? said.Frame.Span(at) : "{}"u8;

    /// <summary>Whether a request's client declares something that nobody here knows, which may bring kinds of results and questions with it.</summary>
    private static bool DeclaresUnknown(Message said) => ClientCapabilities.Canonical(DeclaredIn(said)) is null;

    private async ValueTask<Attempt> AskAsync(PendingRequest request, Message said, Frame answer)
    {
        var interactions = new List<string>();
        for (var round = 1; ; round++)
        {
            if (round > MaxRounds)
            {
                return Own(request.Id, $"Server \"{Upstream.Name}\" asked for more input {MaxRounds} times, and then again. Nobody knows what it has done meanwhile; it is not asked again.");
            }

            var result = answer.Span(answer.Envelope.Result).ToArray();
            var (responses, failed) = await AnswersAsync(request, result, interactions);
            if (failed is { } failure)
            {
                return failure;
            }

            if (responses is null)
            {
                // It only wants to be asked again; not at once, and less and less often.
                var pause = FirstPause * (1 << Math.Min(round - 1, 6));
                if (!await PauseAsync(pause, request.Abandoned))
                {
                    return Attempt.Abandoned("");
                }
            }

            var attempt = await SendAnswersAsync(request, said, Further(result, responses));
            if (attempt is not { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Result } next })
            {
                return attempt;
            }

            switch (JsonFields.String(next.Span(next.Envelope.Result), "resultType"u8))
            {
                case null or "complete":
                    TellComplete(request, interactions);
                    return attempt;
                case "input_required":
                    answer = next;
                    continue;
                case "task" when said.Frame.Method == McpMethod.ToolsCall:
                    // Whatever it asked was answered before it began (the tasks extension, "Task Creation").
                    TellComplete(request, interactions);
                    return await FollowAsync(request, next);
                case var other:
                    return WrongKind(request, other);
            }
        }
    }

    /// <summary>Has the client asked everything that the result asks for.</summary>
    /// <returns>The answers by the server's keys, raw JSON, null where it asks for nothing; or what the call ends with.</returns>
    private async ValueTask<(byte[]? Responses, Attempt? Failed)> AnswersAsync(PendingRequest request, byte[] result, List<string> interactions)
    {
        if (InputRequests(result) is not { Count: > 0 } asked)
        {
            return (null, null);
        }

        if (asked.Exists(one => one.Method.Length == 0))
        {
            return (null, OfNoKind(request));
        }

        var questions = asked.ConvertAll(one => (one.Key, one.Method, Asking: AskClient(request, one.Method, one.Parameters, interactions)));
        var answers = new List<byte> { (byte)'{' };
        try
        {
            foreach (var (key, method, asking) in questions)
            {
                var answer = await asking.Answer.Task.WaitAsync(request.Abandoned);
                if (Response(method, answer) is not { } response)
                {
                    return (null, Own(request.Id, $"Server \"{Upstream.Name}\" needs an answer to {method}, and the client has none: {ErrorText(answer)}. The request is not sent again."));
                }

                answers.AddRange(answers.Count > 1 ? ","u8 : default);
                answers.AddRange(JsonText.Quote(key));
                answers.Add((byte)':');
                answers.AddRange(response);
            }
        }
        catch (OperationCanceledException)
        {
            return (null, request.Abandoned.IsCancellationRequested ? Attempt.Abandoned("") : Attempt.Unknown(_closed ?? "the link was closed while the client was asked"));
        }
        finally
        {
            foreach (var (_, _, asking) in questions)
            {
                if (_questions.TryRemove(asking.Id, out _) && !asking.Answer.Task.IsCompletedSuccessfully)
                {
                    // The client is not to answer what nobody waits for.
                    Owner.OnMessage(this, Read(JsonRpc.Cancelled(Digits(asking.Id), "the request that it belongs to is over")), request);
                }
            }
        }

        answers.Add((byte)'}');
        return ([.. answers], null);
    }

    /// <summary>What goes to the server for an answer of the client; null where the version has no word for it.</summary>
    private static byte[]? Response(string method, Frame answer) =>
        answer.Kind == FrameKind.Result ? answer.Span(answer.Envelope.Result).ToArray()
        : method == "elicitation/create" ? [.. "{\"action\":\"cancel\"}"u8]
        : null;

    private (long Id, TaskCompletionSource<Frame> Answer) AskClient(PendingRequest request, string method, byte[] parameters, List<string> interactions)
    {
        var id = Interlocked.Increment(ref s_lastQuestion);
        var answer = new TaskCompletionSource<Frame>(TaskCreationOptions.RunContinuationsAsynchronously);
        _questions[id] = answer;
        if (!IsUsable)
        {
            answer.TrySetCanceled();
            return (id, answer);
        }

        if (method == "elicitation/create" && JsonFields.String(parameters, "mode"u8) == "url" && !JsonFields.Has(parameters, "elicitationId"u8))
        {
            // 2025-11-25 wants one, by which the client hears that it is done.
            var interaction = RandomNumberGenerator.GetHexString(32, lowercase: true);
            interactions.Add(interaction);
            parameters = JsonFields.Prepend(parameters, [.. "\"elicitationId\":"u8, .. JsonText.Quote(interaction)]);
        }

        Owner.OnMessage(this, Read(JsonRpc.Request(id, method, parameters)), request);
        return (id, answer);
    }

    private void TakeAnswer(Frame answer)
    {
        if (JsonRpc.TryReadId(answer.Id, out var id) && _questions.TryGetValue(id, out var question))
        {
            question.TrySetResult(answer);
        }
    }

    /// <summary>The link is over, and with it whoever waits for answers.</summary>
    private void ForgetQuestions()
    {
        foreach (var question in _questions.Values)
        {
            question.TrySetCanceled();
        }
    }

    private async ValueTask<Attempt> SendAnswersAsync(PendingRequest request, Message said, byte[] more)
    {
        for (var tries = 1; ; tries++)
        {
            var attempt = await RepairedAsync(request, said, more, await RoundAsync(request, said, more));
            if (attempt.Kind is not (AttemptKind.NotExecuted or AttemptKind.LinkOver or AttemptKind.AccountNeeded))
            {
                return attempt;
            }

            if (tries == MaxTries || !IsUsable || attempt.Kind != AttemptKind.NotExecuted)
            {
                // The whole call is not to be begun anew as if nothing had been: it was, and the user was asked; with another account least of all.
                return Attempt.Unknown($"asked for input, and could not be reached with the answer: {attempt.Detail}");
            }

            if (!await PauseAsync(FirstPause * (1 << tries), request.Abandoned))
            {
                return Attempt.Abandoned("");
            }

            request.OnSentAgain("answers", attempt.Detail);
        }
    }

    private async ValueTask<bool> PauseAsync(TimeSpan pause, CancellationToken cancel)
    {
        await Task.Delay(pause, _time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !cancel.IsCancellationRequested;
    }

    /// <summary>The properties that a request has when it is sent again: what the client said, and the state exactly as the server gave it.</summary>
    private static byte[] Further(byte[] result, byte[]? responses)
    {
        var state = JsonFields.Find(result, "requestState"u8);
        byte[] said = responses is null ? [] : [.. "\"inputResponses\":"u8, .. responses];
        return !state.IsPresent ? said
            : [.. said, .. said.Length > 0 ? ","u8 : default, .. "\"requestState\":"u8, .. result.AsSpan(state.Start, state.Length)];
    }

    private static List<(string Key, string Method, byte[] Parameters)> InputRequests(byte[] result)
    {
        var requests = new List<(string, string, byte[])>();
        var at = JsonFields.Find(result, "inputRequests"u8);
        if (!at.IsPresent || result[at.Start] != '{')
        {
            return requests;
        }

        var reader = new Utf8JsonReader(result.AsSpan(at.Start, at.Length), JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = JsonText.Value(ref reader);
            reader.Read();
            var start = at.Start + (int)reader.TokenStartIndex;
            reader.Skip();
            var one = result.AsSpan(start, at.Start + (int)reader.BytesConsumed - start);
            // Null is what some have for none.
            requests.Add((key, JsonFields.String(one, "method"u8) ?? "", JsonFields.Object(one, "params"u8).ToArray()));
        }

        return requests;
    }

    /// <summary>What the user did elsewhere has had its effect: the version says no more of it than that the call went on.</summary>
    private void TellComplete(PendingRequest request, List<string> interactions)
    {
        foreach (var interaction in interactions)
        {
            byte[] parameters = [.. "{\"elicitationId\":"u8, .. JsonText.Quote(interaction), (byte)'}'];
            Owner.OnMessage(this, Read(JsonRpc.Notification("notifications/elicitation/complete", parameters)), request);
        }
    }
}
