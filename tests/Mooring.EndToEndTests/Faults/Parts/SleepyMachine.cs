using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>
/// A machine that can fall asleep: from then on the kernel drops whatever arrives on the connections it has, before TCP sees it. Nothing is
/// acknowledged and nothing is reset, as with a closed laptop or a forgotten NAT entry. Connections made later are awake. Needs no rights.
/// </summary>
internal sealed class SleepyMachine
{
    private const int SocketLevel = 1;
    private const int AttachFilter = 26;

    private readonly ConcurrentBag<Socket> _sockets = [];

    public static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "socket filters are of Linux");

    /// <summary>For clients that run on this machine.</summary>
    /// <param name="receiveBuffer">Bytes that the kernel takes for a client that does not read; null: as many as it likes.</param>
    public SocketsHttpHandler Handler(int? receiveBuffer = null) => new()
    {
        MaxConnectionsPerServer = 2000,
        ConnectCallback = async (context, cancel) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (receiveBuffer is { } size)
            {
                socket.ReceiveBufferSize = size;
            }

            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            Add(socket);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };

    /// <summary>For connections that others make or accept here.</summary>
    public void Add(Socket socket) => _sockets.Add(socket);

    public void FallAsleep()
    {
        foreach (var socket in _sockets)
        {
            try
            {
                DropAll(socket);
            }
            catch (ObjectDisposedException)
            {
                // Closed before.
            }
        }
    }

    /// <summary>Resets every connection, as a machine does that was started anew.</summary>
    public void Reset()
    {
        foreach (var socket in _sockets)
        {
            socket.Close(0);
        }
    }

    private static unsafe void DropAll(Socket socket)
    {
        // One instruction of classic BPF: return 0, that is, keep no byte of the packet (struct sock_filter, then struct sock_fprog).
        var instruction = 0x06ul;
        Span<byte> program = stackalloc byte[16];
        program.Clear();
        program[0] = 1;
        MemoryMarshal.Write(program[8..], (nint)(&instruction));
        socket.SetRawSocketOption(SocketLevel, AttachFilter, program);
    }
}
