using Mooring.Audit;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Calls;

/// <summary>What became of an attempt to put a call on record (<see cref="Reply.CommitAsync"/>).</summary>
internal enum Recording
{
    /// <summary>Whatever happens from now on, its client can come back for what is known; or its way in has nothing that it could come back with.</summary>
    Done,

    /// <summary>The store did not take it. The client has heard nothing yet.</summary>
    StoreFailed,

    /// <summary>The client was gone before its first byte.</summary>
    ClientLeft,
}

/// <summary>Where what belongs to a call goes: the answer of one POST, or the one stream of an HTTP+SSE session.</summary>
internal abstract class Reply
{
    /// <summary>What whoever asks may do. Of the identity of the request at hand: a session's people may come with several.</summary>
    public required Access Access { get; init; }

    /// <summary>What whoever asks showed that can be exchanged for a token of a server; of the request at hand as well.</summary>
    public SubjectToken? ShownToken { get; init; }

    /// <summary>With what, and from where, whoever asks came; for the audit log.</summary>
    public AuditOrigin From { get; init; }

    /// <summary>The headers <c>traceparent</c> and <c>tracestate</c> of the HTTP request that brought it.</summary>
    public (string? Parent, string? State) Trace { get; init; }

    private List<AuditedCall>? _audited;

    /// <summary>Whether a client still listens. A reply without one keeps taking messages: they wait where they can.</summary>
    public abstract bool IsConnected { get; }

    /// <summary>
    /// Commits the record of the call, and gives the client what it can come back with, before anything is done for it. Only for a version
    /// that begins its streams with an event id, and before anything else was said; nobody else uses the reply meanwhile.
    /// </summary>
    /// <param name="server">Where the call will go.</param>
    public virtual ValueTask<Recording> CommitAsync(string server) => ValueTask.FromResult(Recording.Done);

    /// <summary>Where the call goes, told before it is begun: whoever finds it left behind can say whose answer is missing.</summary>
    public virtual void GoesTo(string server)
    {
    }

    /// <summary>Headers of the client's request that a server of the same version is to get as they came.</summary>
    public virtual IReadOnlyList<KeyValuePair<string, string>> Headers => [];

    /// <summary>How often its client hears of its call by what that says of itself with the request; null: as its session has it.</summary>
    public virtual TimeSpan? ProgressEvery => null;

    /// <summary>A call has begun whose answer goes here. For clients whose leaving cancels it.</summary>
    public virtual void Began(Call call)
    {
    }

    /// <summary>Whether an answer that asks back is to be passed on as it is (2026-07-28, basic/patterns/mrtr). Asked when there is one, and only then.</summary>
    public virtual bool PassesUnfinished() => true;

    /// <summary>Whether its client has the call as a task: nobody waits for a sign of life.</summary>
    public virtual bool IsHeld => false;

    /// <summary>The server keeps the call as a task of its own; it is waited for. Whoever has its id can go on with it.</summary>
    /// <param name="serverTask">The server's id of it.</param>
    /// <param name="atOnce">Whether the server made it a task of its own accord, for a client that takes tasks: then that one is to have it at once.</param>
    public virtual void Follows(string serverTask, bool atOnce)
    {
    }

    /// <summary>A notification or server request that belongs to a call, on one line.</summary>
    public abstract void Send(byte[] line);

    /// <inheritdoc cref="Send(byte[])"/>
    /// <param name="line">The message.</param>
    /// <param name="place">Where it stood in the server's answer; null where nobody could go on from there.</param>
    public virtual void Send(byte[] line, CallCursor? place) => Send(line);

    /// <summary>The server's answer was heard up to there, and all that was in it is sent: whoever goes on with the call may begin there.</summary>
    public virtual void Reached(CallCursor place)
    {
    }

    /// <summary>Part of the heartbeat, while a call of it is under way.</summary>
    /// <param name="now">A timestamp.</param>
    public virtual void Look(long now)
    {
    }

    /// <summary>
    /// A notification of the gateway's own that is worth nothing later: written where a client reads at this moment, and kept nowhere, neither in a log
    /// for one that comes back nor until somebody listens. Of a call that is not answered yet.
    /// </summary>
    /// <returns>Whether a client may see it.</returns>
    public virtual bool Show(byte[] line) => false;

    /// <summary>Completes when what was sent before is far enough on its way.</summary>
    public virtual Task ReadyAsync() => Task.CompletedTask;

    /// <summary>The response to one request; each call of the reply gets exactly one of this and <see cref="Abandon"/>.</summary>
    /// <param name="requestId">The client's id, a raw JSON token.</param>
    /// <param name="response">The response with that id in it; the reply owns its frame from here on.</param>
    public void Complete(ReadOnlyMemory<byte> requestId, Message response)
    {
        if (_audited is not null && TakeAudited(requestId.Span) is { } audited)
        {
            audited.End(response.Frame, clientLeft: !IsConnected);
        }

        Finish(requestId, response);
    }

    /// <summary>The client cancelled the request: there is no response.</summary>
    public void Abandon(ReadOnlyMemory<byte> requestId)
    {
        if (_audited is not null && TakeAudited(requestId.Span) is { } audited)
        {
            audited.End("cancelled");
        }

        Drop(requestId);
    }

    /// <inheritdoc cref="Complete(ReadOnlyMemory{byte}, Message)"/>
    protected abstract void Finish(ReadOnlyMemory<byte> requestId, Message response);

    /// <inheritdoc cref="Abandon"/>
    protected abstract void Drop(ReadOnlyMemory<byte> requestId);

    /// <summary>The server answers with an event stream; a single-server route shows the same.</summary>
    /// <param name="isWhole">Whether the answer is here already and follows at once.</param>
    public virtual void Streamed(bool isWhole)
    {
    }

    /// <summary>The server closed its own stream to be asked again later; the client may do the same.</summary>
    public virtual void Pause(TimeSpan? retry)
    {
    }

    /// <summary>From now on the end of a request is noted.</summary>
    public void Audit(AuditedCall call)
    {
        var all = _audited ?? Interlocked.CompareExchange(ref _audited, [], null) ?? _audited;
        lock (all)
        {
            all.Add(call);
        }
    }

    /// <summary>What is to be noted of a request; null where nothing is.</summary>
    public AuditedCall? AuditOf(ReadOnlySpan<byte> requestId) => _audited is null ? null : FindAudited(requestId, take: false);

    /// <summary>What is to be noted of a request, from now on by another reply; null where nothing is.</summary>
    public AuditedCall? PassAudit(ReadOnlySpan<byte> requestId) => _audited is null ? null : TakeAudited(requestId);

    /// <summary>What is to be noted of the one request of a reply that has one, under whichever id that is known just now; null where nothing is.</summary>
    protected AuditedCall? OnlyAudit
    {
        get
        {
            if (_audited is null)
            {
                return null;
            }

            lock (_audited)
            {
                return _audited.FirstOrDefault();
            }
        }
    }

    private AuditedCall? TakeAudited(ReadOnlySpan<byte> requestId) => FindAudited(requestId, take: true);

    private AuditedCall? FindAudited(ReadOnlySpan<byte> requestId, bool take)
    {
        lock (_audited!)
        {
            for (var i = 0; i < _audited.Count; i++)
            {
                if (_audited[i] is var one && one.Id.AsSpan().SequenceEqual(requestId))
                {
                    if (take)
                    {
                        _audited.RemoveAt(i);
                    }

                    return one;
                }
            }
        }

        return null;
    }

    /// <summary>Refuses a request of which nothing was done, since the store is away. Where an HTTP status is still to be given, that says so too.</summary>
    public virtual void RefuseForStore(Frame request, string why) => Refuse(request, JsonRpc.InternalError, why);

    /// <summary>The gateway's own answer.</summary>
    public void Answer(Frame request, ReadOnlySpan<byte> result) => Complete(request.Raw(request.Envelope.Id), JsonRpc.Result(request.Id, result));

    /// <inheritdoc cref="Answer"/>
    public void Refuse(Frame request, int code, string message, byte[]? data = null) =>
        Complete(request.Raw(request.Envelope.Id), JsonRpc.Error(request.Id, code, message, data));

    /// <summary>The gateway's own refusal of what may be tried again once something of what is under way has ended.</summary>
    public void RefuseForNow(Frame request, string message)
    {
        Crowded();
        Refuse(request, JsonRpc.ServerError, message);
    }

    /// <summary>The answer that comes next is such a refusal; HTTP has a status for it (429) where that can still be said.</summary>
    protected virtual void Crowded()
    {
    }

    public void Complete(ReadOnlyMemory<byte> requestId, byte[] response) => Complete(requestId, new Message(Frame.Parse(response)));
}
