using System.Security.Cryptography;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// Requests of servers to one session's client (sampling, elicitation, roots, tasks) that wait for the answer. Ids towards the client are
/// the gateway's own and never come twice, so an answer from before a restart cannot meet another question.
/// </summary>
/// <param name="isMerged">Whether task ids carry their server's name towards this client.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Where is said what nobody else is told.</param>
internal sealed partial class Questions(bool isMerged, TimeProvider time, ILogger logger)
{
    /// <summary>Questions one client may have open; more are refused to the server.</summary>
    private const int Limit = 256;

    /// <summary>How often an answer is sent to a server that does not take it, over some seconds.</summary>
    private const int MaxTries = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    // Far below 2^31: clients exist that take no larger ones.
    private static long s_lastId = RandomNumberGenerator.GetInt32(1 << 20, 1 << 30);

    private readonly Lock _gate = new();
    private Dictionary<long, Question>? _open;
    private List<Question>? _answered;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _open?.Count ?? 0;
            }
        }
    }

    /// <summary>Passes a server's request on.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="frame">The request; its progress token, where there is one, is exchanged too.</param>
    /// <param name="call">The call on whose behalf it asks, if that is known.</param>
    /// <param name="isItsOwn">Whether the server itself said so, by asking on the call's own stream; then the question ends with the call.</param>
    /// <param name="map">Changes the message for the client where names differ; null: none.</param>
    /// <param name="onAnswer">Sees the answer before its server does, and may change it; null: none.</param>
    /// <returns>The message for the client, or null when too many are open.</returns>
    public byte[]? Ask(IAsker asker, Frame frame, Call? call, bool isItsOwn, Func<byte[], byte[]>? map, Func<byte[], Task<byte[]>>? onAnswer = null)
    {
        var id = Interlocked.Increment(ref s_lastId);
        var token = frame.Envelope.MetaProgressToken;
        lock (_gate)
        {
            _open ??= [];
            if (_open.Count >= Limit)
            {
                return null;
            }

            _open.Add(id, new Question(asker, frame.Id.ToArray(), token.IsPresent ? frame.Span(token).ToArray() : null, call, isItsOwn, onAnswer));
        }

        call?.BeginAsking();
        var message = new Message(frame).Replace(frame.Envelope.Id, id);
        if (token.IsPresent)
        {
            message = message.Replace(token, id);
        }

        var line = message.ToLine();
        return map is null ? line : map(line);
    }

    /// <summary>The client's answer; false when nobody asked.</summary>
    public async Task<bool> AnswerAsync(Frame response, CancellationToken cancel)
    {
        if (!JsonRpc.TryReadId(response.Id, out var id) || Take(id, toAnswer: true) is not { } question)
        {
            return false;
        }

        question.Call?.EndAsking();
        var message = new Message(response).Replace(response.Envelope.Id, question.ServerId);
        var answer = message.ToArray();
        answer = isMerged && answer.AsSpan().IndexOf("\"taskId\""u8) >= 0 ? TaskIds.Hide(answer, question.Asker.Server) : answer;
        if (question.OnAnswer is { } onAnswer)
        {
            answer = await onAnswer(answer);
        }

        // Not given up with whoever brought it: nobody can bring it again. And who brought it need not wait for more than one try.
        var sending = SendAsync(question, answer);
        SeeToAsync(question, answer, sending).Unawaited(logger);
        await sending.WaitAsync(cancel);
        return true;
    }

    /// <summary>The client's progress on a question, for the server that asked.</summary>
    public async Task<bool> ProgressAsync(Frame notification, CancellationToken cancel)
    {
        var token = notification.Envelope.ProgressToken;
        Question? question = null;
        if (token.IsPresent && JsonRpc.TryReadId(notification.Span(token), out var id))
        {
            lock (_gate)
            {
                question = _open?.GetValueOrDefault(id);
            }
        }

        if (question?.ProgressToken is null)
        {
            return false;
        }

        var message = new Message(notification).Replace(token, question.ProgressToken);
        return await question.Asker.SendAsync(message.ToArray(), cancel);
    }

    /// <summary>The server takes a question back.</summary>
    /// <returns>What to tell the client, or null when that question is not open.</returns>
    public byte[]? Cancel(IAsker asker, Frame notification)
    {
        var at = notification.Envelope.RequestId;
        if (!at.IsPresent)
        {
            return null;
        }

        long id;
        lock (_gate)
        {
            _answered?.RemoveAll(question => ReferenceEquals(question.Asker, asker) && question.ServerId.AsSpan().SequenceEqual(notification.Span(at)));
            id = _open?.FirstOrDefault(pair => ReferenceEquals(pair.Value.Asker, asker) && pair.Value.ServerId.AsSpan().SequenceEqual(notification.Span(at))).Key ?? 0;
        }

        if (id == 0 || Take(id, toAnswer: false) is not { } question)
        {
            return null;
        }

        question.Call?.EndAsking();
        return new Message(notification).Replace(at, id).ToLine();
    }

    /// <summary>A link is gone, and with it whoever waited for the answers.</summary>
    /// <returns>What to tell the client.</returns>
    public IReadOnlyList<byte[]> Forget(Link link) => Forget(question => ReferenceEquals(question.Asker, link), "the server that asked is gone");

    /// <summary>
    /// A call has ended, and with it what its server asked on its stream. What was only taken for its own stays: a server that asks on one channel for
    /// all may wait for that on behalf of another call.
    /// </summary>
    /// <returns>What to tell the client, before the call's answer.</returns>
    public IReadOnlyList<byte[]> Forget(Call call) =>
        call.HasAsked ? Forget(question => question.IsItsOwn && ReferenceEquals(question.Call, call), "the call that it was asked for has ended") : [];

    private IReadOnlyList<byte[]> Forget(Func<Question, bool> which, string why)
    {
        List<byte[]>? cancelled = null;
        lock (_gate)
        {
            if (_open is null)
            {
                return [];
            }

            foreach (var (id, question) in _open.Where(pair => which(pair.Value)).ToArray())
            {
                _open.Remove(id);
                question.Call?.EndAsking();
                question.Call?.Answered();
                (cancelled ??= []).Add(JsonRpc.Cancelled(System.Text.Encoding.ASCII.GetBytes(id.ToString()), why));
            }
        }

        return cancelled ?? [];
    }

    /// <summary>
    /// Sends an answer again that its server did not take: a response that comes twice does no harm. A server that cannot be given it waits for it, and so
    /// does whoever called: that call is ended.
    /// </summary>
    private async Task SeeToAsync(Question question, byte[] answer, Task<bool> sending)
    {
        for (var tries = 1; !await sending; tries++)
        {
            if (tries < MaxTries)
            {
                await Task.Delay(FirstPause * (1 << (tries - 1)), time);
            }

            // The calls of a link that is over are ended by it.
            if (!question.Asker.IsUsable || question.Call is { HasEnded: true } || !IsWaitedFor(question))
            {
                break;
            }

            if (tries == MaxTries)
            {
                Log.NotTaken(logger, question.Asker.Server, tries);
                EndCall(question);
                break;
            }

            sending = SendAsync(question, answer);
        }

        // Where the server has it, its silence counts from now on.
        question.Call?.Sign();
        question.Call?.Answered();
        lock (_gate)
        {
            _answered!.Remove(question);
        }
    }

    private static void EndCall(Question question) =>
        question.Call?.Abandon("it did not take the answer to what it had asked", stuck: true);

    /// <returns>False where the server did not take it, as far as anybody can say.</returns>
    private async Task<bool> SendAsync(Question question, byte[] answer)
    {
        try
        {
            return await question.Asker.SendAsync(answer, CancellationToken.None);
        }
        catch (OperationCanceledException)
        {
            // Not connected in time.
            return false;
        }
        catch (Exception e)
        {
            // A bug of ours, or a token that cannot be read just now: neither must leave the call waiting.
            Log.SendingFailed(logger, e, question.Asker.Server);
            return false;
        }
    }

    /// <summary>Whether its server still wants to know.</summary>
    private bool IsWaitedFor(Question question)
    {
        lock (_gate)
        {
            return _answered!.Contains(question);
        }
    }

    private Question? Take(long id, bool toAnswer)
    {
        lock (_gate)
        {
            if (_open is null || !_open.Remove(id, out var question))
            {
                return null;
            }

            if (toAnswer)
            {
                (_answered ??= []).Add(question);
            }

            return question;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(250, LogLevel.Warning, "Server {Server} did not take an answer to what it had asked, at {Tries} tries; it is not sent again, and a call that waits for it ends.", EventName = "AnswerNotTaken")]
        public static partial void NotTaken(ILogger logger, string server, int tries);

        [LoggerMessage(251, LogLevel.Error, "Sending an answer to server {Server} failed.", EventName = "AnswerSendingFailed")]
        public static partial void SendingFailed(ILogger logger, Exception exception, string server);
    }

    private sealed record Question(IAsker Asker, byte[] ServerId, byte[]? ProgressToken, Call? Call, bool IsItsOwn, Func<byte[], Task<byte[]>>? OnAnswer);
}
