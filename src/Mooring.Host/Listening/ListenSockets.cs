using System.Collections.Concurrent;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Mooring.Drain;

namespace Mooring.Host.Listening;

/// <summary>
/// The sockets the program listens on, and the connections that came in. Kestrel ends listening and its open connections together; a drain has to
/// tell them apart.
/// </summary>
internal sealed class ListenSockets : IListeners
{
    private readonly Lock _gate = new();
    private readonly List<Socket> _sockets = [];
    private readonly ConcurrentDictionary<string, ConnectionContext> _open = new(StringComparer.Ordinal);

    public void Add(Socket socket)
    {
        lock (_gate)
        {
            _sockets.Add(socket);
        }
    }

    /// <summary>Knows a connection for as long as it is served.</summary>
    public async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        _open[connection.ConnectionId] = connection;
        try
        {
            await next(connection);
        }
        finally
        {
            _open.TryRemove(connection.ConnectionId, out _);
        }
    }

    /// <remarks>Those that come later are told with their answers.</remarks>
    public void EndConnections()
    {
        foreach (var (_, connection) in _open)
        {
            connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }

    public void StopAccepting()
    {
        lock (_gate)
        {
            // Kestrel takes that for the end of listening at this address, and asks for no more.
            _sockets.ForEach(socket => socket.Dispose());
            _sockets.Clear();
        }
    }
}
