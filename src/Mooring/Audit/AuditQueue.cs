using System.Buffers;

namespace Mooring.Audit;

/// <summary>
/// Lines that wait to be written, one after another in chunks that are written as they are. Added by anybody, who never waits; taken by the one task that writes.
/// That is woken by the first line after a quiet time, and rests after it wrote, so that a busy gateway pays for a wake and a write in so many milliseconds and
/// not for one with each line.
/// </summary>
internal sealed class AuditQueue(TimeProvider time)
{
    /// <summary>Lines that may wait: some seconds of a busy gateway whose disk hangs, some megabytes.</summary>
    public const int Room = 20_000;

    /// <summary>Bytes of them, where lines are long: with their arguments in full they may have megabytes each.</summary>
    public const int RoomBytes = 32 * 1024 * 1024;

    /// <summary>Between two writes; also how old a line may become in here while the disk keeps up.</summary>
    public static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    /// <summary>A rest ends here, long before there is no room.</summary>
    private const int PlentyLines = Room / 4;

    private const int PlentyBytes = RoomBytes / 4;

    private readonly Lock _gate = new();
    private readonly Queue<AuditChunk> _chunks = new();
    private AuditChunk? _last;
    private TaskCompletionSource? _wake;
    private bool _wakesAtOnce;
    private long _wrote = long.MinValue / 2;
    private int _lines;
    private long _bytes;
    private bool _isOver;

    /// <summary>Lines that nobody has begun to write.</summary>
    public int Lines
    {
        get
        {
            lock (_gate)
            {
                return _lines;
            }
        }
    }

    private bool HasPlenty => _lines >= PlentyLines || _bytes >= PlentyBytes;

    /// <returns>Whether there was room. One line alone always finds it.</returns>
    public bool TryAdd(ReadOnlySpan<byte> line)
    {
        TaskCompletionSource? wake = null;
        lock (_gate)
        {
            if (_isOver || _lines >= Room || (_bytes > 0 && _bytes + line.Length > RoomBytes))
            {
                return false;
            }

            if (_last is null || !_last.TryAdd(line))
            {
                _last = AuditChunk.With(line);
                _chunks.Enqueue(_last);
            }

            _lines++;
            _bytes += line.Length;
            if (_wakesAtOnce || HasPlenty)
            {
                (wake, _wake) = (_wake, null);
            }
        }

        wake?.TrySetResult();
        return true;
    }

    /// <summary>No more lines are taken; what waits is written without a rest.</summary>
    public void Complete()
    {
        TaskCompletionSource? wake;
        lock (_gate)
        {
            _isOver = true;
            (wake, _wake) = (_wake, null);
        }

        wake?.TrySetResult();
    }

    /// <returns>How many chunks are to be written now; 0: none ever again.</returns>
    public async ValueTask<int> WaitAsync(CancellationToken cancellation)
    {
        while (true)
        {
            Task wake;
            TimeSpan rest;
            lock (_gate)
            {
                rest = Rest - time.GetElapsedTime(_wrote);
                if (_isOver || HasPlenty || (rest <= TimeSpan.Zero && _lines > 0))
                {
                    return _chunks.Count;
                }

                _wakesAtOnce = rest <= TimeSpan.Zero;
                _wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                wake = _wake.Task;
            }

            if (rest > TimeSpan.Zero)
            {
                await Task.WhenAny(wake, Task.Delay(rest, time, cancellation));
                cancellation.ThrowIfCancellationRequested();
            }
            else
            {
                await wake.WaitAsync(cancellation);
            }
        }
    }

    /// <summary>The oldest chunk. Until it is <see cref="Written"/>, its bytes take room.</summary>
    public AuditChunk Take()
    {
        lock (_gate)
        {
            var chunk = _chunks.Dequeue();
            if (chunk == _last)
            {
                _last = null;
            }

            _lines -= chunk.Lines;
            return chunk;
        }
    }

    /// <summary>Its room is for others; it must not be used any more.</summary>
    public void Written(AuditChunk chunk)
    {
        lock (_gate)
        {
            _bytes -= chunk.Bytes.Length;
            _wrote = time.GetTimestamp();
        }

        chunk.Dispose();
    }
}

/// <summary>Whole lines, one after another: what is written at once. Filled under the lock of its queue, and no more once it is taken.</summary>
internal sealed class AuditChunk : IDisposable
{
    private const int Size = 64 * 1024;

    private readonly bool _isPooled;
    private byte[] _buffer;
    private int _length;

    private AuditChunk(byte[] buffer, bool isPooled) => (_buffer, _isPooled) = (buffer, isPooled);

    /// <summary>Each with its end.</summary>
    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    public int Lines { get; private set; }

    /// <summary>One that begins with this line. A long line has one of its own, so that no memory is held that is not counted.</summary>
    public static AuditChunk With(ReadOnlySpan<byte> line)
    {
        var chunk = line.Length > Size / 4 ? new AuditChunk(new byte[line.Length], isPooled: false) : new AuditChunk(ArrayPool<byte>.Shared.Rent(Size), isPooled: true);
        chunk.TryAdd(line);
        return chunk;
    }

    public bool TryAdd(ReadOnlySpan<byte> line)
    {
        if (line.Length > _buffer.Length - _length)
        {
            return false;
        }

        line.CopyTo(_buffer.AsSpan(_length));
        _length += line.Length;
        Lines++;
        return true;
    }

    public void Dispose()
    {
        var buffer = _buffer;
        (_buffer, _length) = ([], 0);
        if (_isPooled && buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
