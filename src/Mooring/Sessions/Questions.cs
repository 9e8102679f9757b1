using System.Security.Cryptography;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// Requests of servers to one session's client (sampling, elicitation, roots, tasks) that wait for the answer. Ids towards the client are
/// the gateway's own and never come twice, so an answer from before a restart cannot meet another question.
/// </summary>
/// <param name="isMerged">Whether task ids carry their server's name towards this client.</param>
internal sealed class Questions(bool isMerged)
{
    /// <summary>Questions one client may have open; more are refused to the server.</summary>
    private const int Limit = 256;

    // Below 2^53, which is where JavaScript's integers end.
    private static long s_lastId = RandomNumberGenerator.GetInt32(1, int.MaxValue) * (1L << 20);

    private readonly Lock _gate = new();
    private Dictionary<long, Question>? _open;

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
    /// <param name="link">Who asks.</param>
    /// <param name="frame">The request; its progress token, where there is one, is exchanged too.</param>
    /// <param name="call">The call on whose behalf it asks, if that is known.</param>
    /// <param name="map">Changes the message for the client where names differ; null: none.</param>
    /// <returns>The message for the client, or null when too many are open.</returns>
    public byte[]? Ask(Link link, Frame frame, Call? call, Func<byte[], byte[]>? map)
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

            _open.Add(id, new Question(link, frame.Id.ToArray(), token.IsPresent ? frame.Span(token).ToArray() : null, call));
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
        if (!JsonRpc.TryReadId(response.Id, out var id) || Take(id) is not { } question)
        {
            return false;
        }

        question.Call?.EndAsking();
        var message = new Message(response).Replace(response.Envelope.Id, question.ServerId);
        var answer = message.ToArray();
        await question.Link.SendAsync(isMerged && answer.AsSpan().IndexOf("\"taskId\""u8) >= 0 ? TaskIds.Hide(answer, question.Link.Upstream.Name) : answer, cancel);
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
        return await question.Link.SendAsync(message.ToArray(), cancel);
    }

    /// <summary>The server takes a question back.</summary>
    /// <returns>What to tell the client, or null when that question is not open.</returns>
    public byte[]? Cancel(Link link, Frame notification)
    {
        var at = notification.Envelope.RequestId;
        if (!at.IsPresent)
        {
            return null;
        }

        long id;
        lock (_gate)
        {
            id = _open?.FirstOrDefault(pair => ReferenceEquals(pair.Value.Link, link) && pair.Value.ServerId.AsSpan().SequenceEqual(notification.Span(at))).Key ?? 0;
        }

        if (id == 0 || Take(id) is not { } question)
        {
            return null;
        }

        question.Call?.EndAsking();
        return new Message(notification).Replace(at, id).ToLine();
    }

    /// <summary>A link is gone, and with it whoever waited for the answers.</summary>
    /// <returns>What to tell the client.</returns>
    public IReadOnlyList<byte[]> Forget(Link link)
    {
        List<byte[]>? cancelled = null;
        lock (_gate)
        {
            if (_open is null)
            {
                return [];
            }

            foreach (var (id, question) in _open.Where(pair => ReferenceEquals(pair.Value.Link, link)).ToArray())
            {
                _open.Remove(id);
                question.Call?.EndAsking();
                (cancelled ??= []).Add(JsonRpc.Cancelled(System.Text.Encoding.ASCII.GetBytes(id.ToString()), "the server that asked is gone"));
            }
        }

        return cancelled ?? [];
    }

    private Question? Take(long id)
    {
        lock (_gate)
        {
            return _open is not null && _open.Remove(id, out var question) ? question : null;
        }
    }

    private sealed record Question(Link Link, byte[] ServerId, byte[]? ProgressToken, Call? Call);
}
