using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mooring.Tests;

/// <summary>The way to a database, spoilt at will: stalled, delayed, cut. The test that made it disposes it.</summary>
internal sealed class Road : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Socket, bool> _open = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly int _target;
    private readonly Task _accepting;
    private volatile TaskCompletionSource? _stalled;
    private volatile bool _isBackOnly;
    private volatile bool _isCut;
    private long _delayTicks;

    /// <param name="target">The port it leads to, on this machine.</param>
    public Road(int target)
    {
        _target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>How much later everything arrives, in both directions.</summary>
    public TimeSpan Delay
    {
        set => Interlocked.Exchange(ref _delayTicks, value.Ticks);
    }

    /// <summary>Nothing arrives any more, and nobody is told; new connections are taken and lead nowhere.</summary>
    /// <param name="backOnly">What is asked still arrives, but no answer comes.</param>
    public void Stall(bool backOnly = false)
    {
        _isBackOnly = backOnly;
        _stalled ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Resets all connections and refuses new ones.</summary>
    public void Cut()
    {
        _isCut = true;
        ResetAll();
    }

    /// <summary>Resets all connections; new ones are taken.</summary>
    public void Reset() => ResetAll();

    /// <summary>As it was. What was stalled goes on.</summary>
    public void Heal()
    {
        _isCut = false;
        var stalled = _stalled;
        _stalled = null;
        stalled?.SetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Stop();
        ResetAll();
        await _accepting;
        _closing.Dispose();
    }

    private void ResetAll()
    {
        foreach (var socket in _open.Keys)
        {
            socket.Close(0);
        }
    }

    private async Task AcceptAsync()
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptSocketAsync(_closing.Token));
            }
            catch (Exception e) when (IsEnd(e))
            {
                // Closing, or a connection that was gone before it was taken.
            }
        }
    }

    private async Task ServeAsync(Socket near)
    {
        using var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        near.NoDelay = true;
        _open[near] = _open[far] = true;
        try
        {
            if (!_isCut)
            {
                await far.ConnectAsync(IPAddress.Loopback, _target, _closing.Token);
                await Task.WhenAny(PumpAsync(near, far, isBack: false), PumpAsync(far, near, isBack: true));
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // One end is gone; the other is told below.
        }
        finally
        {
            near.Close(0);
            far.Close(0);
            _open.TryRemove(near, out _);
            _open.TryRemove(far, out _);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool isBack)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, _closing.Token) is var count and > 0)
            {
                if (TimeSpan.FromTicks(Interlocked.Read(ref _delayTicks)) is { Ticks: > 0 } delay)
                {
                    await Task.Delay(delay, TimeProvider.System, _closing.Token);
                }

                if (_stalled is { } stalled && (isBack || !_isBackOnly))
                {
                    await stalled.Task.WaitAsync(_closing.Token);
                }

                for (var sent = 0; sent < count;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _closing.Token);
                }
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // Whoever waits for the first of the two pumps ends both.
        }
    }

    private static bool IsEnd(Exception e) => e is SocketException or OperationCanceledException or ObjectDisposedException;
}
