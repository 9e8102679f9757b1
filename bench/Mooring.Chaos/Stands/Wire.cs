using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Mooring.Chaos.Stands;

/// <summary>
/// A stretch of network that can be spoilt: a TCP proxy that cuts, delays, falls silent, or ends connections at a fixed age. Made and
/// disposed by the stand; settings may change at any time.
/// </summary>
internal sealed class Wire : IAsyncDisposable
{
    /// <summary>Chunks under way in one direction; with a delay this bounds the rate, far above what anything here sends.</summary>
    private const int UnderWay = 256;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Pair, bool> _pairs = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly int _target;
    private readonly Task _accepting;
    private volatile bool _down;
    private volatile bool _silent;
    private long _delayTicks;
    private long _ageTicks;
    private long _cut, _aged, _swallowed, _delayed;

    public Wire(int target)
    {
        _target = target;
        _listener.Start(1024);
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Connections that were reset by <see cref="Cut"/>, and those refused since.</summary>
    public long CutConnections => Interlocked.Read(ref _cut);

    /// <summary>Connections that were reset for their age.</summary>
    public long AgedConnections => Interlocked.Read(ref _aged);

    /// <summary>Bytes that went into a dead network.</summary>
    public long SwallowedBytes => Interlocked.Read(ref _swallowed);

    /// <summary>Pieces that arrived later than they were sent.</summary>
    public long DelayedPieces => Interlocked.Read(ref _delayed);

    /// <summary>How much later what the near end sends arrives at the far end.</summary>
    public TimeSpan Delay
    {
        set => Interlocked.Exchange(ref _delayTicks, value.Ticks);
    }

    /// <summary>Age at which each connection is reset, whatever it carries; zero: never.</summary>
    public TimeSpan OldestAge
    {
        set => Interlocked.Exchange(ref _ageTicks, value.Ticks);
    }

    /// <summary>Resets all connections and refuses new ones.</summary>
    public void Cut()
    {
        _down = true;
        foreach (var pair in _pairs.Keys)
        {
            pair.Reset();
            Interlocked.Increment(ref _cut);
        }
    }

    /// <summary>
    /// Nothing arrives any more, in either direction, and nobody is told: neither end sees a close. Those connections stay dead also when
    /// the silence is over, as after a change of network; new ones wait for its end.
    /// </summary>
    public void FallSilent()
    {
        _silent = true;
        foreach (var pair in _pairs.Keys)
        {
            pair.IsDead = true;
        }
    }

    public void Heal()
    {
        _down = false;
        _silent = false;
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Stop();
        Cut();
        await _accepting;
        _closing.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptSocketAsync(_closing.Token));
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Closing, or a connection that was gone before it was taken.
            }
        }
    }

    private async Task ServeAsync(Socket near)
    {
        near.NoDelay = true;
        if (_down)
        {
            near.Close(0);
            Interlocked.Increment(ref _cut);
            return;
        }

        var pair = new Pair(near, new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }) { IsDead = _silent };
        _pairs[pair] = true;
        try
        {
            await pair.Far.ConnectAsync(IPAddress.Loopback, _target, _closing.Token);
            var forth = PumpAsync(pair, pair.Near, pair.Far, delayed: true);
            var back = PumpAsync(pair, pair.Far, pair.Near, delayed: false);
            var age = TimeSpan.FromTicks(Interlocked.Read(ref _ageTicks));
            var both = Task.WhenAll(forth, back);
            if (age > TimeSpan.Zero && await Task.WhenAny(both, Task.Delay(age, _closing.Token)) != both)
            {
                pair.Reset();
                Interlocked.Increment(ref _aged);
            }

            await both;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One end is gone; the other is told below.
        }
        finally
        {
            pair.Reset();
            _pairs.TryRemove(pair, out _);
        }
    }

    private async Task PumpAsync(Pair pair, Socket from, Socket to, bool delayed)
    {
        var queue = Channel.CreateBounded<(long Read, byte[] Bytes)>(UnderWay);
        var writing = WriteAsync(pair, to, queue.Reader, delayed);
        try
        {
            var buffer = new byte[16 * 1024];
            while (await from.ReceiveAsync(buffer, _closing.Token) is var count and > 0)
            {
                await queue.Writer.WriteAsync((TimeProvider.System.GetTimestamp(), buffer[..count]), _closing.Token);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            pair.ResetUnlessDead();
        }

        queue.Writer.TryComplete();
        await writing;
    }

    private async Task WriteAsync(Pair pair, Socket to, ChannelReader<(long Read, byte[] Bytes)> queue, bool delayed)
    {
        try
        {
            await foreach (var (read, bytes) in queue.ReadAllAsync(_closing.Token))
            {
                if (pair.IsDead)
                {
                    // What was sent into a dead network is gone.
                    Interlocked.Add(ref _swallowed, bytes.Length);
                    continue;
                }

                var wait = delayed ? TimeSpan.FromTicks(Interlocked.Read(ref _delayTicks)) - TimeProvider.System.GetElapsedTime(read) : TimeSpan.Zero;
                if (wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait, _closing.Token);
                    Interlocked.Increment(ref _delayed);
                }

                for (var sent = 0; sent < bytes.Length;)
                {
                    sent += await to.SendAsync(bytes.AsMemory(sent), _closing.Token);
                }
            }

            if (!pair.IsDead)
            {
                to.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            pair.ResetUnlessDead();
        }
    }

    private sealed class Pair(Socket near, Socket far)
    {
        private int _closed;

        public Socket Near => near;

        public Socket Far => far;

        /// <summary>Neither end hears of the other any more, not even of its end.</summary>
        public volatile bool IsDead;

        public void ResetUnlessDead()
        {
            if (!IsDead)
            {
                Reset();
            }
        }

        public void Reset()
        {
            if (Interlocked.Exchange(ref _closed, 1) == 0)
            {
                near.Close(0);
                far.Close(0);
            }
        }
    }
}
