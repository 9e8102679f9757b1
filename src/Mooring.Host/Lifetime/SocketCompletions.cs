using System.Net;
using System.Net.Sockets;

namespace Mooring.Host.Lifetime;

/// <summary>
/// Has sockets report on the threads that wait for them, instead of handing each report to the thread pool first (decision 0017): a
/// seventh more calls per second. Linux and macOS only; elsewhere nothing changes.
/// </summary>
internal static class SocketCompletions
{
    /// <summary>Set to 0 to have each report go through the thread pool.</summary>
    public const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>To be called before the first socket. An operator's own setting stays.</summary>
    public static void ReportInPlace()
    {
        if (OperatingSystem.IsWindows() || Environment.GetEnvironmentVariable(Variable) is not null)
        {
            return;
        }

        Environment.SetEnvironmentVariable(Variable, "1");

        // The runtime reads it once, with the first operation that waits. Then it goes: it is not meant for the servers we start.
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        using (var waiting = new SocketAsyncEventArgs())
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            waiting.SetBuffer(new byte[1]);
            socket.ReceiveAsync(waiting);
        }

        Environment.SetEnvironmentVariable(Variable, null);
    }
}
