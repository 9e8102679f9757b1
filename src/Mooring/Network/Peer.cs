using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Mooring.Network;

/// <summary>What is known of the other end of a connection.</summary>
internal enum Peer
{
    /// <summary>It is there, has closed the connection itself, or nothing can be learnt of it.</summary>
    Answers,

    /// <summary>It acknowledges nothing any more, or the connection broke without a close.</summary>
    Vanished,

    /// <summary>Its machine answers, but nobody there takes what was sent.</summary>
    TakesNothing,
}

/// <summary>Asks the kernel about a connection, when a stream on it ends; the web server does not tell why one was lost.</summary>
internal static class PeerSight
{
    /// <summary>TCP_INFO of Linux; the places below are of its struct tcp_info.</summary>
    private const int TcpInfo = 11;

    private const int StatePlace = 0;
    private const int RetransmitsPlace = 2;

    /// <summary>tcpi_snd_wnd, since Linux 5.4.</summary>
    private const int WindowPlace = 228;

    private const byte Established = 1;
    private const byte Closed = 7;

    /// <param name="socket">Null where the connection is no socket of ours.</param>
    public static Peer Look(Socket? socket)
    {
        if (socket is null)
        {
            return Peer.Answers;
        }

        if (!OperatingSystem.IsLinux())
        {
            return socket.Connected ? Peer.Answers : Peer.Vanished;
        }

        Span<byte> info = stackalloc byte[256];
        int length;
        try
        {
            length = socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpInfo, info);
        }
        catch (ObjectDisposedException)
        {
            // The web server gave it up before the peer closed it: a write failed, or a ping was not answered.
            return Peer.Vanished;
        }
        catch (SocketException)
        {
            return Peer.Answers;
        }

        var isShut = length >= WindowPlace + sizeof(uint) && MemoryMarshal.Read<uint>(info[WindowPlace..]) == 0;
        return info[StatePlace] switch
        {
            // After a close by the peer it would be in one of the states that wait for ours; this one is left behind by a reset and by a peer
            // that was given up. With its window shut it was given up for that: it lived, but took nothing.
            Closed => isShut ? Peer.TakesNothing : Peer.Vanished,
            Established when info[RetransmitsPlace] > 0 => Peer.Vanished,
            _ => Peer.Answers,
        };
    }
}
