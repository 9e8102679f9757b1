using System.Globalization;
using System.Text;

namespace Mooring.Tests;

/// <summary>A body that is made while it is read, so that one without end takes no memory.</summary>
internal abstract class MadeStream : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public abstract override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }
}

/// <summary>The same character for ever.</summary>
internal sealed class EndlessStream(char character) : MadeStream
{
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        buffer.Span.Fill((byte)character);
        return new ValueTask<int>(buffer.Length);
    }
}

/// <summary>Bytes whose number nobody is told before.</summary>
internal sealed class UnsizedStream(byte[] bytes) : MadeStream
{
    private int _position;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = Math.Min(buffer.Length, bytes.Length - _position);
        bytes.AsSpan(_position, count).CopyTo(buffer.Span);
        _position += count;
        return new ValueTask<int>(count);
    }
}

/// <summary>An event stream of as many notifications as wanted, and the last event; never waits before.</summary>
/// <param name="notifications">How many.</param>
/// <param name="message">The message of each; <c>#</c> in it becomes its number.</param>
/// <param name="last">The message of the last event; null: after the notifications nothing more comes, and no end.</param>
internal sealed class FloodStream(int notifications, string message, string? last) : MadeStream
{
    private byte[] _current = [];
    private int _position;
    private int _made;

    /// <summary>Events that were asked for so far.</summary>
    public int Made => Volatile.Read(ref _made);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_position == _current.Length)
        {
            if (_made >= notifications && last is null)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }

            _current = Next();
            _position = 0;
            Volatile.Write(ref _made, _made + 1);

            // As a network does now and then; else the reader would never leave its thread.
            await Task.Yield();
        }

        var count = Math.Min(buffer.Length, _current.Length - _position);
        _current.AsSpan(_position, count).CopyTo(buffer.Span);
        _position += count;
        return count;
    }

    private byte[] Next()
    {
        var text = _made < notifications ? message.Replace("#", _made.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            : _made == notifications ? last
            : null;
        return text is null ? [] : Encoding.UTF8.GetBytes($"data: {text}\n\n");
    }
}
