using System.Net.Sockets;
using Mooring.Drain;

namespace Mooring.Host.Listening;

/// <summary>The sockets the program listens on. Kestrel ends listening and its open connections together; a drain has to tell them apart.</summary>
internal sealed class ListenSockets : IListeners
{
    private readonly Lock _gate = new();
    private readonly List<Socket> _sockets = [];

    public void Add(Socket socket)
    {
        lock (_gate)
        {
            _sockets.Add(socket);
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
