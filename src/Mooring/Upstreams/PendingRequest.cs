using System.Security.Cryptography;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Upstreams;

/// <summary>How one try to have a request answered ended. The caller decides what follows from it (invariant 9).</summary>
internal enum AttemptKind
{
    /// <summary>The server answered: a result or an error of its own.</summary>
    Answered,

    /// <summary>Provably not executed: it never left, or the server never took it.</summary>
    NotExecuted,

    /// <summary>The server no longer knows the gateway's session; not executed.</summary>
    SessionLost,

    /// <summary>It was sent and no answer came: executed or not, nobody can say.</summary>
    Unknown,

    /// <summary>The server, or something before it, refused it with an HTTP status.</summary>
    Refused,

    /// <summary>The person whose request it is has to link an account first; not executed.</summary>
    AccountNeeded,

    /// <summary>The link is of an account that is not the person's any more; not executed, and it says nothing about the server.</summary>
    LinkOver,

    /// <summary>The gateway itself gave up: cancelled, out of time, or stopping.</summary>
    Abandoned,
}

/// <param name="Kind">What is known.</param>
/// <param name="Answer">The response frame; only when answered.</param>
/// <param name="Detail">What happened, in words for a person who runs the server; no secrets.</param>
internal readonly record struct Attempt(AttemptKind Kind, Frame? Answer, string Detail)
{
    /// <summary>The server's session: the one that is lost, or the one an answer came in or gave; null where there is none.</summary>
    public string? Session { get; init; }

    /// <summary>Whether the connection to the server, or its process, was gone before the answer came: it may have been killed, and be starting anew.</summary>
    public bool IsCut { get; init; }

    /// <summary>The HTTP status it was refused with; 0 where there was none, or a good one.</summary>
    public int Status { get; init; }

    /// <summary>What is missing, where that is an account.</summary>
    public AccountNeeded? Needed { get; init; }

    public static Attempt Answered(Frame answer) => new(AttemptKind.Answered, answer, "");

    public static Attempt NotExecuted(string detail) => new(AttemptKind.NotExecuted, null, detail);

    public static Attempt SessionLost(string detail, string session) => new(AttemptKind.SessionLost, null, detail) { Session = session };

    public static Attempt Unknown(string detail) => new(AttemptKind.Unknown, null, detail);

    public static Attempt Cut(string detail) => new(AttemptKind.Unknown, null, detail) { IsCut = true };

    public static Attempt Refused(string detail) => new(AttemptKind.Refused, null, detail);

    public static Attempt Abandoned(string detail) => new(AttemptKind.Abandoned, null, detail);
}

/// <summary>One request of the gateway's, under way on a link: a client's call, or one of the gateway's own accord.</summary>
internal abstract class PendingRequest
{
    /// <summary>
    /// Not where the process before this one began, nor where another replica did: a server goes on with the sessions of those, and what it still says to
    /// a request of theirs must not be taken for the answer to one of ours. A thousand million of them are below 2^31: servers exist that take no larger ones.
    /// </summary>
    private static long s_lastId = RandomNumberGenerator.GetInt32(1 << 20, 1 << 30);

    /// <summary>The id on the upstream leg; minted by the gateway, never reused in this process. One that another process began has that one's.</summary>
    public long Id { get; init; } = Interlocked.Increment(ref s_lastId);

    /// <summary>Cancelled when nobody wants the answer any more.</summary>
    public abstract CancellationToken Abandoned { get; }

    /// <summary>Whether it was abandoned because the server took too long.</summary>
    public virtual bool TimedOut => false;

    /// <summary>The request as it goes to the server, with <see cref="Id"/> in it.</summary>
    public abstract Message ToMessage();

    /// <summary>As <see cref="ToMessage"/>, for a server with sessions.</summary>
    public virtual Message ToSessionMessage() => ToMessage();

    /// <summary>
    /// Whether an answer that asks back (2026-07-28, basic/patterns/mrtr) is understood by whoever asks; else the link has the client asked, and asks
    /// the server again. Asked when there is such an answer, and only then.
    /// </summary>
    public virtual bool PassesUnfinished() => false;

    /// <summary>The server's own task that the request became, by the server's id: it is only waited for. Null: it is to be sent.</summary>
    public virtual string? ServerTask => null;

    /// <summary>The server has made a task of it.</summary>
    /// <param name="id">The server's id of the task.</param>
    /// <param name="ofItsOwn">Whether nobody asked the server to.</param>
    public virtual void OnServerTask(string id, bool ofItsOwn)
    {
    }

    /// <summary>The link itself sends it again, or what belongs to it, since it was provably not executed.</summary>
    /// <param name="reason">In one word, for the log and the metrics.</param>
    /// <param name="detail">What the server said, or what became of the sending.</param>
    public virtual void OnSentAgain(string reason, string detail)
    {
    }

    /// <summary>A sign of life of whoever works on it.</summary>
    public virtual void Sign()
    {
    }

    /// <summary>Headers of the client's own request that a server of the same version is to get as they came.</summary>
    public virtual IReadOnlyList<KeyValuePair<string, string>> Headers => [];

    /// <summary>What the client's own request shows that can be exchanged; null: nothing, or the gateway asks of its own accord.</summary>
    public virtual SubjectToken? Shown => null;

    /// <summary>A notification or a request of the server that came on this request's own stream, or names its progress token.</summary>
    public abstract void OnRelated(Link link, Frame frame);

    /// <inheritdoc cref="OnRelated(Link, Frame)"/>
    /// <param name="origin">Where on the request's own stream it stood, if it had an id there.</param>
    public virtual void OnRelated(Link link, Frame frame, EventOrigin? origin) => OnRelated(link, frame);

    /// <summary>The server named a place on the request's own stream without saying anything there: what it says from now on can be asked for from there.</summary>
    public virtual void OnPrimed(Link link, EventOrigin origin)
    {
    }

    /// <summary>Whether requests of other clients may be under way on the same link: what is read there must not wait for this one's reader.</summary>
    public virtual bool SharesLink => false;

    /// <summary>Completes when what came so far is far enough on its way to the client; a link asks before it reads on, so that a flood stays with the server.</summary>
    public virtual Task ReadyAsync() => Task.CompletedTask;

    /// <summary>The progress token it was sent with, as on the wire; empty where it has none.</summary>
    public virtual ReadOnlySpan<byte> ProgressToken => default;

    /// <summary>The server answers with an event stream.</summary>
    /// <param name="isWhole">Whether all of it has arrived already: there is nothing to wait for between its head and the answer.</param>
    public virtual void OnStreamed(bool isWhole)
    {
    }

    /// <summary>The server closed the stream on purpose and wants to be asked again later (2025-11-25, polling).</summary>
    public virtual void OnPaused(TimeSpan? retry)
    {
    }
}

/// <summary>A request of the gateway's own accord: initialize, lists, subscriptions.</summary>
internal sealed class OwnRequest(string method, byte[] parameters, CancellationToken abandoned) : PendingRequest
{
    private Frame? _frame;

    public override CancellationToken Abandoned => abandoned;

    public override Message ToMessage() => new(_frame ??= Frame.Parse(JsonRpc.Request(Id, method, parameters)));

    public override void OnRelated(Link link, Frame frame) => link.Owner.OnMessage(link, frame, related: null);
}
