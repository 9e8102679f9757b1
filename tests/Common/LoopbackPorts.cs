using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mooring.Tests;

/// <summary>Loopback ports for programs that are told on which port to listen, and come back to it after a kill.</summary>
/// <remarks>
/// A port that was only looked up is free for all until that program listens: at any time another test may be given it. So a socket that is
/// bound to it, and does not listen, stays until this process ends. The kernel then gives the port to nobody who asks for any, but lets
/// those who ask for it by number listen, as both set SO_REUSEADDR.
/// </remarks>
internal static class LoopbackPorts
{
    private static readonly ConcurrentBag<Socket> Held = [];

    /// <summary>A port that no one else is given as long as this process runs.</summary>
    public static int Take()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Held.Add(socket);
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
