using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>
/// One request of a client without sessions, and the way of its answer: over the POST that brought it, or, where the call waits here for a retry that came to
/// another replica, over that one. Calls write to it from anywhere.
/// </summary>
internal abstract class StatelessExchange
{
    private readonly Discovery _discovery;

    /// <param name="request">The request; its buffer must last as long as the exchange.</param>
    /// <param name="discovery">Knows who answers; asked with the answer, when a server that was unknown before may have said it.</param>
    /// <param name="session">Stands for the client.</param>
    protected StatelessExchange(Frame request, Discovery discovery, Session session)
    {
        Request = request;
        (_discovery, Session) = (discovery, session);
        // With the answer the request's buffer goes; and only who gives a token hears of progress.
        ProgressEvery = request.Envelope.MetaProgressToken.IsPresent && request.ClientMeta.ClientInfo is { IsPresent: true } info ? session.TraitsOf(request.Span(info)).ProgressEvery : null;
        LogLevel = request.ClientMeta.LogLevel is { IsPresent: true } level ? request.Text(level) : null;
    }

    public Frame Request { get; }

    /// <summary>Stands for its client.</summary>
    public Session Session { get; }

    public ReadOnlyMemory<byte> Id => Request.Raw(Request.Envelope.Id);

    /// <summary>Who answers, raw JSON.</summary>
    public byte[] ServerInfo => _discovery.ServerInfo(Session);

    /// <summary>The least severe log message it wants; null: none at all (server/utilities/logging).</summary>
    public string? LogLevel { get; }

    /// <summary>How often its client hears of the call by its profile; null: as all.</summary>
    public TimeSpan? ProgressEvery { get; }

    /// <summary>Told when its client left before it had the answer.</summary>
    public Action<StatelessExchange>? OnLeft { get; set; }

    /// <summary>Something that belongs to the request and comes before its answer, on one line.</summary>
    public abstract void Send(byte[] line);

    /// <summary>Completes when what was sent before is far enough on its way.</summary>
    public abstract Task TakenAsync();

    /// <summary>Answers; the exchange owns the message from here on.</summary>
    /// <returns>False: its client is gone.</returns>
    public abstract bool Finish(Message answer, int status);
}
