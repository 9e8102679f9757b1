using System.Runtime.CompilerServices;

namespace Mooring.Upstreams;

/// <summary>
/// Reads of a server's output that give their thread back after each <see cref="Turn"/>. Sockets may report on threads that serve
/// many connections (decision 0017); a server that always has more to say would keep such a thread to itself.
/// </summary>
internal sealed class FairStream(Stream inner) : Stream
{
    /// <summary>Bytes that one source may bring before the others have their turn; a message longer than this is taken apart on the thread pool.</summary>
    public const int Turn = 64 * 1024;

    private int _inOneGo;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var reading = inner.ReadAsync(buffer, cancellationToken);
        if (!reading.IsCompletedSuccessfully)
        {
            return WaitAsync(reading);
        }

        var count = reading.Result;
        _inOneGo += count;
        return _inOneGo < Turn ? new(count) : YieldAsync(count);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WaitAsync(ValueTask<int> reading)
    {
        var count = await reading.ConfigureAwait(false);
        _inOneGo = count;
        return count;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> YieldAsync(int count)
    {
        _inOneGo = 0;
        await Task.Yield();
        return count;
    }
}
