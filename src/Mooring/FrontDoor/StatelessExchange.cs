using Mooring.Protocol;

namespace Mooring.FrontDoor;

/// <summary>
/// One request of a client without sessions, and the way of its answer: over the POST that brought it, or, where the call waits here for a retry that came to
/// another replica, over that one. Calls write to it from anywhere.
/// </summary>
internal abstract class StatelessExchange
{
    private readonly Func<byte[]> _serverInfo;

    /// <param name="request">The request; its buffer must last as long as the exchange.</param>
    /// <param name="meta">What it says of its client.</param>
    /// <param name="serverInfo">Who answers, raw JSON; asked for with the answer, when a server that was unknown before may have said it.</param>
    protected StatelessExchange(Frame request, RequestMeta meta, Func<byte[]> serverInfo)
    {
        Request = request;
        _serverInfo = serverInfo;
        LogLevel = meta.LogLevel.IsPresent ? request.Text(meta.LogLevel) : null;
    }

    public Frame Request { get; }

    public ReadOnlyMemory<byte> Id => Request.Raw(Request.Envelope.Id);

    public byte[] ServerInfo => _serverInfo();

    /// <summary>The least severe log message it wants; null: none at all (server/utilities/logging).</summary>
    public string? LogLevel { get; }

    /// <summary>Told when its client left before it had the answer.</summary>
    public Action? OnLeft { get; set; }

    /// <summary>Something that belongs to the request and comes before its answer, on one line.</summary>
    public abstract void Send(byte[] line);

    /// <summary>Completes when what was sent before is far enough on its way.</summary>
    public abstract Task TakenAsync();

    /// <summary>Answers; the exchange owns the message from here on.</summary>
    /// <returns>False: its client is gone.</returns>
    public abstract bool Finish(Message answer, int status);
}
