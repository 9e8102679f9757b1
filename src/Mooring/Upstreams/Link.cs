using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Upstreams;

/// <summary>Who opened a link and hears what its server says of its own accord.</summary>
internal interface ILinkOwner
{
    /// <summary>A notification or request of the server. The owner owns the frame from here on.</summary>
    /// <param name="link">Where it came from; requests are answered with <see cref="Link.SendAsync"/>.</param>
    /// <param name="frame">The message.</param>
    /// <param name="related">The request on whose stream it came; null when the channel cannot tell.</param>
    /// <param name="origin">Where on the server's own stream it stood, if it had an id there.</param>
    void OnMessage(Link link, Frame frame, PendingRequest? related, EventOrigin? origin = null);

    /// <summary>The server named a place on its own stream before it said anything there: what it says from now on can be asked for from there.</summary>
    void OnPrimed(Link link, EventOrigin origin)
    {
    }

    /// <summary>
    /// The server has no way to say that something is another now: lists that it declares to tell changes of are read again and again, where that is this owner's to do.
    /// </summary>
    /// <returns>Completes when it is cancelled, or was nothing to do.</returns>
    Task LookForChangesAsync(Link link, CancellationToken cancel) => Task.CompletedTask;

    /// <summary>Completes when what the owner heard so far is far enough on its way to its clients.</summary>
    Task ReadyAsync() => Task.CompletedTask;

    /// <summary>The link was opened, or opened anew after its server forgot it: level and subscriptions are to be applied.</summary>
    Task OnOpenedAsync(Link link, bool again);

    /// <summary>Another gateway process has already made a new session with the server of a link that lost the one named; null: nobody has.</summary>
    ValueTask<LinkRecord?> FindRenewedAsync(Link link, string? lost) => ValueTask.FromResult<LinkRecord?>(null);

    /// <summary>The link is of no more use; the next request opens another.</summary>
    void OnClosed(Link link, string why);
}

/// <summary>What a link is opened with.</summary>
/// <param name="InitializeParams">Params of <c>initialize</c>, raw JSON.</param>
/// <param name="Version">The version offered in them.</param>
/// <param name="Authorizer">Whose token goes with its requests; null: the server is used without.</param>
internal sealed record LinkParameters(byte[] InitializeParams, ProtocolVersion Version, LinkAuthorizer? Authorizer = null);

/// <summary>
/// The gateway's own session with one server, for one client session or shared. Made by <see cref="Upstream"/>, disposed by its owner;
/// replaced at will, clients never see its id. Any number of requests may be under way at once.
/// </summary>
internal abstract class Link : IAsyncDisposable, IAsker
{
    protected Link(Upstream upstream, LinkParameters parameters, ILinkOwner owner)
    {
        Upstream = upstream;
        Parameters = parameters;
        Owner = owner;
    }

    public Upstream Upstream { get; }

    public string Server => Upstream.Name;

    public LinkParameters Parameters { get; }

    public ILinkOwner Owner { get; private protected set; }

    /// <summary>The server's <c>InitializeResult</c>, raw JSON; empty before it is known.</summary>
    public ReadOnlyMemory<byte> InitializeResult { get; protected set; }

    /// <summary>When the server said so; the least time there is on links to servers that cannot say for how long it holds.</summary>
    public DateTimeOffset Said { get; protected set; }

    /// <summary>The version the server chose.</summary>
    public ProtocolVersion Version { get; protected set; }

    /// <summary>The server's session id, where it has one.</summary>
    public virtual string? SessionId => null;

    /// <summary>Whether a server may keep something for whoever uses this link, which is lost with it.</summary>
    public virtual bool HoldsState => SessionId is not null;

    public abstract bool IsUsable { get; }

    /// <summary>Whether the link tells which request a message of the server belongs to; one that does not leaves it to a guess.</summary>
    public abstract bool TellsRequests { get; }

    /// <summary>Whether what the server says of its own accord has to be asked for (<see cref="Listen"/>), and can be at one gateway process only.</summary>
    public virtual bool HasToListen => false;

    /// <summary>Whether level and subscriptions are kept by the link, and not in a session at the server, where each process finds what another one set.</summary>
    public virtual bool KeepsWishes => false;

    /// <summary>Whether the link itself waits for what its server makes a task of; else whoever calls has to.</summary>
    public virtual bool FollowsTasks => false;

    /// <summary>Whether it is asked for here.</summary>
    public virtual bool Listens => true;

    /// <summary>Whether what the server says of its own accord arrives here: it is asked for, and the server has a way to say it.</summary>
    public virtual bool Hears => Listens;

    /// <summary>Whether a change of one kind of list is told here: the server declares that it tells of them, and is heard.</summary>
    /// <param name="capability">The capability that has the list.</param>
    public virtual bool Tells(string capability) =>
        Hears && JsonFields.IsTrue(JsonFields.Object(JsonFields.Object(InitializeResult.Span, "capabilities"u8), System.Text.Encoding.ASCII.GetBytes(capability)), "listChanged"u8);

    /// <summary>Asks from now on for what the server says of its own accord.</summary>
    /// <param name="after">The server's id of the last event that is known; null: from now on.</param>
    public virtual void Listen(string? after)
    {
    }

    /// <summary>Leaves it to another gateway process.</summary>
    /// <returns>Completes when nothing more of it can come.</returns>
    public virtual Task StopListeningAsync() => Task.CompletedTask;

    /// <summary>Goes on with another session of the same server, which another gateway process has made.</summary>
    public virtual void Adopt(LinkRecord record)
    {
    }

    /// <summary>Gives the link up and leaves the session with the server as it is: another gateway process goes on with it.</summary>
    public virtual ValueTask LeaveAsync() => DisposeAsync();

    /// <summary>Whether it is there for what comes of one request that another process sent: nothing is asked on it, lists included.</summary>
    public bool IsForOneCall { get; init; }

    /// <summary>Sends a request and waits for how it ends.</summary>
    public abstract ValueTask<Attempt> CallAsync(PendingRequest request);

    /// <summary>Waits for how a request ends that another process sent, from a place on the stream of its answer. The server hears of nothing new.</summary>
    /// <param name="request">The request, with its id.</param>
    /// <param name="after">The server's id of the last event that was heard.</param>
    public virtual ValueTask<Attempt> GoOnAsync(PendingRequest request, string after) =>
        ValueTask.FromResult(Attempt.Unknown("over its transport nothing can be gone on with"));

    /// <summary>Sends a notification or a response; false when it could not be handed over.</summary>
    public abstract ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel);

    /// <summary>Makes a new session with a server that lost the one named, with the same parameters. Callers that lost the same one share the work.</summary>
    public abstract Task<Attempt> ReinitializeAsync(string? lost, CancellationToken cancel);

    /// <summary>Ends the session with the server, politely where it has a way.</summary>
    public abstract ValueTask DisposeAsync();

    /// <summary>Sends a request of the gateway's own.</summary>
    public ValueTask<Attempt> RequestAsync(string method, byte[] parameters, CancellationToken cancel) =>
        CallAsync(new OwnRequest(method, parameters, cancel));

    /// <summary>Checks and keeps an <c>InitializeResult</c>; null when it is one, else what is wrong.</summary>
    protected string? Accept(Frame answer)
    {
        if (answer.Kind == FrameKind.Error)
        {
            return "it refused initialize: " + JsonFields.String(answer.Span(answer.Envelope.Error), "message"u8);
        }

        var result = answer.Span(answer.Envelope.Result);
        var offered = JsonFields.String(result, "protocolVersion"u8);
        if (!ProtocolVersions.TryParseWithSessions(offered, out var version))
        {
            return $"it chose protocol version \"{offered}\", which the gateway does not speak";
        }

        if (JsonFields.Find(result, "capabilities"u8) is not { IsPresent: true } capabilities || result[capabilities.Start] != '{')
        {
            return "its initialize result has no capabilities";
        }

        Version = version;
        InitializeResult = result.ToArray();
        return null;
    }
}
