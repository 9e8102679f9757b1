using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Mooring.Benchmarks.Stands;

/// <summary>
/// The system's own price of a keep-alive round: one blocking send per socket from one thread, with no server at all.
/// On loopback it includes the receiver's half, which the sending thread runs in its own system call.
/// </summary>
internal static class SocketHold
{
    private static readonly byte[] Head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n"u8.ToArray();

    private static readonly byte[] Chunk = "3\r\n:\n\n\r\n"u8.ToArray();

    public static int Run(int port, TimeSpan beat)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen(4096);
        var gate = new Lock();
        var sockets = new HashSet<Socket>();
        new Thread(() => Beat(beat, gate, sockets)) { IsBackground = true, Name = "beat" }.Start();
        Console.WriteLine("ready");
        var request = new byte[4096];
        while (true)
        {
            var socket = listener.Accept();
            socket.NoDelay = true;

            // The benchmark's client sends its request in one piece.
            socket.Receive(request);
            socket.Send(Head);
            lock (gate)
            {
                sockets.Add(socket);
            }
        }
    }

    private static void Beat(TimeSpan interval, Lock gate, HashSet<Socket> sockets)
    {
        var next = Stopwatch.GetTimestamp();
        while (true)
        {
            next += (long)(interval.TotalSeconds * Stopwatch.Frequency);
            var wait = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), next);
            Thread.Sleep(wait > TimeSpan.Zero ? wait : TimeSpan.Zero);
            Socket[] now;
            lock (gate)
            {
                now = [.. sockets];
            }

            foreach (var socket in now)
            {
                socket.Send(Chunk, SocketFlags.None, out var error);
                if (error != SocketError.Success)
                {
                    lock (gate)
                    {
                        sockets.Remove(socket);
                    }

                    socket.Dispose();
                }
            }
        }
    }
}
