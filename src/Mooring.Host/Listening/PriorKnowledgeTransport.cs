using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace Mooring.Host.Listening;

/// <summary>
/// A transport without a socket: its "new connections" are those that came in on a clear-text address and began with the HTTP/2
/// preface. Kestrel decides between HTTP/1.1 and HTTP/2 per endpoint when there is no TLS, so the second protocol gets an
/// endpoint of its own, and connections are handed over to it.
/// </summary>
/// <remarks>
/// <code>
/// socket ─▶ HTTP/1.1 endpoint ─▶ PrefaceReader ─┬─ HTTP/1.1 ─▶ Kestrel
///                                               └─ HTTP/2 ───▶ ServeAsync ─▶ AcceptAsync ─▶ HTTP/2 endpoint ─▶ Kestrel
/// </code>
/// The first endpoint keeps owning the socket: it waits in <see cref="ServeAsync"/> until the second is done with it.
/// </remarks>
internal sealed class PriorKnowledgeTransport : IConnectionListenerFactory, IConnectionListenerFactorySelector, IConnectionListener
{
    // Unbounded: each entry is an open connection, which the first endpoint has already accepted.
    private readonly Channel<ConnectionContext> _waiting = Channel.CreateUnbounded<ConnectionContext>(new() { SingleReader = true });

    public EndPoint EndPoint => PriorKnowledgeEndPoint.Instance;

    public bool CanBind(EndPoint endpoint) => endpoint is PriorKnowledgeEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return await _waiting.Reader.ReadAsync(cancellationToken);
        }
        catch (ChannelClosedException)
        {
            return null;
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _waiting.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => UnbindAsync();

    /// <summary>Returns when the connection is over; at once when listening has ended.</summary>
    public Task ServeAsync(ConnectionContext connection)
    {
        var handedOver = new HandedOverConnection(connection);
        return _waiting.Writer.TryWrite(handedOver) ? handedOver.Ended : Task.CompletedTask;
    }
}

/// <summary>The address of <see cref="PriorKnowledgeTransport"/>; there is one per process, whatever the number of sockets.</summary>
internal sealed class PriorKnowledgeEndPoint : EndPoint
{
    public static readonly PriorKnowledgeEndPoint Instance = new();

    private PriorKnowledgeEndPoint()
    {
    }

    /// <summary>Becomes the host part of the address that Kestrel reports.</summary>
    public const string Name = "http2-prior-knowledge";

    public override string ToString() => Name;
}
