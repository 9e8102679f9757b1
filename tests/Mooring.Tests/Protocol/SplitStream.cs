using System.Text;

namespace Mooring.Tests.Protocol;

/// <summary>Gives its bytes in pieces of the sizes asked for; at the end it ends, fails, or waits for more or for cancellation.</summary>
internal sealed class SplitStream(byte[] content, Func<int, int> sizeOfRead, bool stallAtEnd = false, bool failAtEnd = false) : Stream
{
    private byte[] _content = content;
    private int _position;

    public int Reads { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => _content.Length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public void Append(string text) => _content = [.. _content, .. Encoding.UTF8.GetBytes(text)];

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var size = sizeOfRead(Reads++);
        if (_position < _content.Length)
        {
            return size < 0 ? LaterAsync(buffer, -size) : ValueTask.FromResult(Take(buffer, size));
        }

        return failAtEnd ? ValueTask.FromException<int>(new IOException("The connection was reset."))
            : stallAtEnd ? StallAsync(cancellationToken)
            : ValueTask.FromResult(0);
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private static async ValueTask<int> StallAsync(CancellationToken cancel)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
        return 0;
    }

    private async ValueTask<int> LaterAsync(Memory<byte> buffer, int size)
    {
        await Task.Yield();
        return Take(buffer, size);
    }

    private int Take(Memory<byte> buffer, int size)
    {
        var count = Math.Min(Math.Min(size, buffer.Length), _content.Length - _position);
        _content.AsMemory(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }
}
