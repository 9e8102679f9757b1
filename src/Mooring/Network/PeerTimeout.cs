using System.Net.Sockets;

namespace Mooring.Network;

/// <summary>
/// How soon the kernel gives up a peer that acknowledges nothing any more: its machine asleep or unplugged, or the connection forgotten by
/// something on the path. Of itself it asks an idle connection never, and repeats what is not acknowledged for a quarter of an hour
/// (Linux, tcp_retries2), so a stream that only gets comments would look alive for all that time.
/// </summary>
/// <remarks>
/// Set on a listening socket, it holds for every connection accepted there. Other systems than Linux know only the first half; there data
/// that is not acknowledged is given up after the system's own time.
/// </remarks>
internal static class PeerTimeout
{
    /// <summary>TCP_USER_TIMEOUT of Linux, in milliseconds: for data on its way, and for a peer that has closed its window (RFC 5482).</summary>
    private const int UserTimeout = 18;

    private const int Probes = 3;

    /// <param name="socket">Listening or not yet connected.</param>
    /// <param name="limit">Half of it in silence, then three probes in the other half; at least 2 s, since the kernel counts in seconds.</param>
    public static void Apply(Socket socket, TimeSpan limit)
    {
        var seconds = Math.Max(2, (int)limit.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds / 2);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Math.Max(1, seconds / 2 / Probes));
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
        if (OperatingSystem.IsLinux())
        {
            socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, UserTimeout, BitConverter.GetBytes(seconds * 1000));
        }
    }
}
