using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mooring.Chaos.Stands;

/// <summary>A server that begins a response and says nothing more: what ends it is the balancer before it. Made and disposed by the stand.</summary>
internal sealed class Silence : IAsyncDisposable
{
    public const string Path = "/silence";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _accepting;

    public Silence()
    {
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Stop();
        await _accepting;
        _closing.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Socket> held = [];
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_closing.Token);
                held.Add(socket);
                await socket.ReceiveAsync(new byte[8192], _closing.Token);
                await socket.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n:\n\n"), _closing.Token);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Closing.
        }
        finally
        {
            held.ForEach(socket => socket.Dispose());
        }
    }
}
