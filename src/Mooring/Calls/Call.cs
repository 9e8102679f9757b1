using System.Diagnostics;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;
using Mooring.Vault;

namespace Mooring.Calls;

/// <summary>
/// One client request on its way to one server. Owned by its session's list of running calls, not by the HTTP request that brought it:
/// that may end without the call noticing. Answered exactly once.
/// </summary>
internal sealed partial class Call : PendingRequest, IDisposable
{
    /// <summary>As long as names of tools may be (2025-11-25, server/tools, "Tool Names").</summary>
    private const int LongestWhat = 128;

    private readonly CancellationTokenSource _abandon = new();
    private readonly TimeProvider _time;
    private readonly MadeProgress? _progress;
    private (Slice Where, ReadOnlyMemory<byte> With)? _key;
    private string? _toolName;
    private string? _serverTask;
    private byte[] _wish = [];
    private int _hasPlace;
    private string? _abandonReason;
    private long _lastSign;
    private int _askingClient;
    private bool _hasAsked;
    private int _ended;
    private bool _timedOut;

    /// <param name="session">Whose it is.</param>
    /// <param name="upstream">The server it goes to.</param>
    /// <param name="request">The request as the client sent it.</param>
    /// <param name="reply">Where its answer goes.</param>
    /// <param name="time">The clock.</param>
    /// <param name="age">How long another process had it; null: it begins now.</param>
    public Call(Session session, Upstream upstream, Frame request, Reply reply, TimeProvider time, TimeSpan? age = null)
    {
        Session = session;
        Upstream = upstream;
        Request = request;
        Reply = reply;
        _time = time;
        _lastSign = time.GetTimestamp();
        Started = _lastSign - (long)(Math.Max(0, age?.TotalSeconds ?? 0) * time.TimestampFrequency);
        if (request.Envelope.MetaProgressToken.IsPresent && age is null)
        {
            // Values must rise, and what its client was told by another process nobody knows here.
            // A copy: the request's buffer goes back to the pool with the answer, and the heartbeat may come just then.
            _progress = new MadeProgress(request.Span(request.Envelope.MetaProgressToken).ToArray(), Started, time);
        }
    }

    public Session Session { get; }

    public Upstream Upstream { get; }

    public Frame Request { get; }

    public Reply Reply { get; }

    public long Started { get; }

    /// <summary>For whoever traces; null where nobody does. One that another replica runs has its own there.</summary>
    public Activity? Trace { get; set; }

    /// <summary>The client's id, a raw JSON token.</summary>
    public ReadOnlyMemory<byte> ClientId => Request.Raw(Request.Envelope.Id);

    /// <summary>The link it was last sent on.</summary>
    public Link? Link { get; set; }

    /// <summary>A value of the request that is another one on the server's side (a tool's own name, a resource's own URI).</summary>
    public (Slice Where, ReadOnlyMemory<byte> With)? Renamed { get; init; }

    /// <summary>The server's own name of the tool that is called; empty where the request is no call of a tool. As all of the request, not to be asked for after the answer.</summary>
    public string ToolName => _toolName ??= Request.Method != McpMethod.ToolsCall ? ""
        : Renamed is { } renamed ? JsonText.Read(renamed.With.Span)
        : Request.Text(Request.Envelope.Name);

    /// <summary>What is asked for, for the log: the tool, or the method where it is another one. Clients may name anything, however long.</summary>
    public string What
    {
        get
        {
            return Shorten(Request.Method == McpMethod.ToolsCall ? ToolName : Request.MethodName);
        }
    }

    /// <summary>As <see cref="What"/>, of a request that runs elsewhere: a tool by the client's name of it.</summary>
    public static string WhatOf(Frame request) =>
        Shorten(request.Method == McpMethod.ToolsCall && request.Envelope.Name.IsPresent ? request.Text(request.Envelope.Name) : request.MethodName);

    /// <summary>How often it was sent again since it was provably not executed, and why the last time.</summary>
    public (int Times, string Reason, string Detail) SentAgain { get; private set; }

    /// <summary>Told of each such sending; the runner's.</summary>
    public Action<Call>? NoteSentAgain { get; set; }

    public override void OnSentAgain(string reason, string detail)
    {
        SentAgain = (SentAgain.Times + 1, reason, detail);
        NoteSentAgain?.Invoke(this);
    }

    /// <summary>Done with a result before the client hears of it: what the gateway itself has to remember (level, subscriptions, whose a task is). May fail the call by an error message.</summary>
    public Func<Frame, Task<string?>>? OnResult { get; init; }

    /// <summary>Place in the session's list; the session's business.</summary>
    public LinkedListNode<Call>? Node { get; set; }

    public override CancellationToken Abandoned => _abandon.Token;

    /// <summary>Why it was abandoned: null while it was not; the reason given by <see cref="Abandon"/>.</summary>
    public string? AbandonReason => Volatile.Read(ref _abandonReason);

    public bool WasCancelledByClient { get; private set; }

    public override bool TimedOut => _timedOut;

    /// <summary>Whether it was abandoned because its server waits for an answer of the client that it does not take.</summary>
    public bool IsStuck { get; private set; }

    public override Message ToMessage() => ToMessage(_key?.With);

    /// <summary>What a client without sessions says of itself in each request stays here: a server that has both kinds of versions would take it for a request of the other kind.</summary>
    public override Message ToSessionMessage()
    {
        if (!Request.Envelope.IsStateless)
        {
            return ToMessage();
        }

        var (claims, areAll) = RequestMeta.ClaimsIn(Request);
        // Nothing follows the key then.
        var message = ToMessage(areAll ? _key?.With.TrimEnd((byte)',') : _key?.With);
        foreach (var claim in claims)
        {
            message = message.Replace(claim, " "u8.ToArray());
        }

        return message;
    }

    private Message ToMessage(ReadOnlyMemory<byte>? key)
    {
        var message = new Message(Request).Replace(Request.Envelope.Id, Id);
        if (ExchangesToken)
        {
            message = message.Replace(Request.Envelope.MetaProgressToken, Id);
        }

        if (key is { } with)
        {
            message = message.Replace(_key!.Value.Where, with);
        }

        if (_wish.Length > 0)
        {
            // Requests of clients that take tasks have params, and _meta in them.
            message = message.Replace(new Slice(Request.Envelope.Params.Start + 1, 0), (byte[])[.. _wish, (byte)',']);
        }

        return Renamed is { } renamed ? message.Replace(renamed.Where, renamed.With) : message;
    }

    private static string Shorten(string name) => name.Length <= LongestWhat ? name : name[..LongestWhat] + "…";

    /// <summary>From now on it is sent with an idempotency key, the same each time.</summary>
    public void GiveKey() => _key = IdempotencyKey.In(Request, Id);

    public override bool PassesUnfinished() => !Session.Version.HasSessions() && Reply.PassesUnfinished();

    public override string? ServerTask => Volatile.Read(ref _serverTask);

    /// <summary>A task takes its time elsewhere: its place at the server is another's.</summary>
    public override void OnServerTask(string id, bool ofItsOwn)
    {
        Volatile.Write(ref _serverTask, id);
        LeavePlace();
        NoteAccountOfTask();
        Reply.Follows(id, atOnce: ofItsOwn);
    }

    /// <summary>From now on it is sent with the wish to be a task.</summary>
    /// <param name="property">Of its params, raw JSON; empty: it is not.</param>
    public void WishTask(byte[] property) => _wish = property;

    /// <summary>Whether the server was asked to make it a task.</summary>
    public bool WishesTask => _wish.Length > 0;

    /// <summary>It has a place at its server.</summary>
    public void TakePlace() => Volatile.Write(ref _hasPlace, 1);

    /// <summary>Gives the place back, where it still has one.</summary>
    public void LeavePlace()
    {
        if (Interlocked.Exchange(ref _hasPlace, 0) == 1)
        {
            Upstream.Leave();
        }
    }

    public override IReadOnlyList<KeyValuePair<string, string>> Headers => Reply.Headers;

    public override SubjectToken? Shown => Reply.ShownToken;

    public override Task ReadyAsync() => Reply.ReadyAsync();

    public override ReadOnlySpan<byte> ProgressToken => ExchangesToken
        ? System.Text.Encoding.ASCII.GetBytes(Id.ToString())
        : Request.Span(Request.Envelope.MetaProgressToken);

    /// <summary>
    /// Tokens of different clients could meet on a link that they share: one of all sessions, or of the session that stands for clients without any. On a link of
    /// its own the client's token passes as it is.
    /// </summary>
    private bool ExchangesToken => SharesLink && Request.Envelope.MetaProgressToken.IsPresent;

    public override bool SharesLink => !Upstream.IsPerSession || !Session.IsKept;

    public override void OnStreamed(bool isWhole)
    {
        if (Session.Server is not null)
        {
            Reply.Streamed(isWhole);
        }
    }

    public override void OnPaused(TimeSpan? retry) => Reply.Pause(retry);

    /// <summary>A sign of life from the server: the deadline starts anew.</summary>
    public override void Sign() => Volatile.Write(ref _lastSign, _time.GetTimestamp());

    /// <summary>While the client is asked something on behalf of this call, only the hard cap counts.</summary>
    public void BeginAsking()
    {
        Volatile.Write(ref _hasAsked, true);
        Interlocked.Increment(ref _unanswered);
        Interlocked.Increment(ref _askingClient);
    }

    /// <summary>Whether its client was asked anything on behalf of it.</summary>
    public bool HasAsked => Volatile.Read(ref _hasAsked);

    public void EndAsking()
    {
        Sign();
        Interlocked.Decrement(ref _askingClient);
    }

    /// <summary>Gives up; the runner then answers, or not, by the reason.</summary>
    public void Abandon(string reason, bool byClient = false, bool timedOut = false, bool stuck = false)
    {
        if (Interlocked.CompareExchange(ref _abandonReason, reason, null) is not null)
        {
            return;
        }

        WasCancelledByClient = byClient;
        IsStuck = stuck;
        _timedOut = timedOut;
        try
        {
            _abandon.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended meanwhile: whoever gives up looks at a list of calls that may be a moment old.
        }
    }

    /// <summary>Gives up when nothing was heard for too long.</summary>
    /// <param name="now">A timestamp.</param>
    /// <param name="deadline">Longest silence.</param>
    /// <param name="hardCap">Longest duration.</param>
    /// <param name="progressEvery">How often its client hears of it meanwhile, where its request does not say another one.</param>
    public void Tick(long now, TimeSpan deadline, TimeSpan hardCap, TimeSpan progressEvery)
    {
        _progress?.Tick(now, Reply.ProgressEvery ?? progressEvery, Reply);
        Reply.Look(now);
        if (_time.GetElapsedTime(Started, now) > hardCap)
        {
            Abandon($"hard cap of {hardCap.TotalSeconds:0.#} s", timedOut: true);
        }
        else if (!Reply.IsHeld && Volatile.Read(ref _askingClient) == 0 && _time.GetElapsedTime(Volatile.Read(ref _lastSign), now) > (Upstream.Config.Deadline ?? deadline))
        {
            Abandon($"deadline of {(Upstream.Config.Deadline ?? deadline).TotalSeconds:0.#} s", timedOut: true);
        }
    }

    /// <summary>Whether a try of it ended so that nobody can say whether it was executed.</summary>
    public bool MayHaveRun { get; set; }

    public bool HasEnded => Volatile.Read(ref _ended) != 0;

    /// <summary>True once, for whoever answers.</summary>
    public bool TryEnd()
    {
        _progress?.End();
        return Interlocked.Exchange(ref _ended, 1) == 0;
    }

    public void Dispose() => _abandon.Dispose();
}
