using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;

namespace Mooring.Protocol;

/// <summary>
/// Reads Server-Sent Events from a stream as the HTML standard's "server-sent events" section parses them, with one addition:
/// an event that has an id but no data is reported too, because MCP streams begin with such a primer and its id is what a
/// client resumes with. Made and disposed by whoever owns the response; one read at a time, none while disposing; the stream
/// itself stays open.
/// </summary>
/// <remarks>
/// Everything happens in one pooled buffer. The first data line of an event is not copied at all; further ones are moved
/// down to it, which always fits, because <c>data:</c> and a line end lie between them:
/// <code>
/// | data of this event | … consumed … | rest of the current line | free |
///   _dataStart           _position ───┘                          └─ _end
/// </code>
/// </remarks>
internal sealed class SseReader : IDisposable
{
    internal const string MessageType = "message";
    internal const string EndpointType = "endpoint";

    // Most events of MCP are below this; a reader that waits holds no more.
    private const int IdleBufferBytes = 4096;

    private readonly Stream _stream;
    private readonly int _maxEventBytes;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(IdleBufferBytes);
    private int _position;
    private int _end;
    private int _scanned;
    private bool _bomPassed;
    private bool _skipLineFeed;
    private SseReadKind? _final;

    // The event being read.
    private long _eventBytes;
    private bool _inEvent;
    private bool _hasData;
    private int _dataStart;
    private int _dataLength;
    private string _type = MessageType;
    private string _lastCustomType = MessageType;
    private string? _id;
    private TimeSpan? _retry;
    private bool _disposed;

    /// <param name="stream">Where to read; stays open.</param>
    /// <param name="maxEventBytes">Most bytes of all lines of one event, comments between them included, each line end counted as one.</param>
    public SseReader(Stream stream, int maxEventBytes)
    {
        // Less than a byte order mark would make the limit depend on how the first bytes arrive.
        ArgumentOutOfRangeException.ThrowIfLessThan(maxEventBytes, 3);
        _stream = stream;
        _maxEventBytes = maxEventBytes;
    }

    /// <summary>
    /// Reads up to the next thing worth telling. After <see cref="SseReadKind.End"/>, <see cref="SseReadKind.TooLarge"/> or
    /// <see cref="SseReadKind.CutMidEvent"/> every further read gives the same. What the stream throws passes through.
    /// </summary>
    public ValueTask<SseRead> ReadAsync(CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return TryReadBuffered(out var read) ? ValueTask.FromResult(read) : ReadOnAsync(cancel);
    }

    /// <summary>Gives the buffer back; data of earlier reads must not be touched any more.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SseRead> ReadOnAsync(CancellationToken cancel)
    {
        SseRead read;
        do
        {
            MakeRoom();
            var count = await _stream.ReadAsync(_buffer.AsMemory(_end), cancel).ConfigureAwait(false);
            _end += count;
            if (count == 0)
            {
                Finish();
            }
        }
        while (!TryReadBuffered(out read));

        return read;
    }

    private bool TryReadBuffered(out SseRead read)
    {
        if (_final is not { } final)
        {
            return TryParse(out read);
        }

        read = new SseRead(final) { Retry = _retry };
        return true;
    }

    private bool TryParse(out SseRead read)
    {
        read = default;
        while (TryReadLine(out var start, out var length))
        {
            if (length == 0)
            {
                if (TryDispatch(out read))
                {
                    return true;
                }

                continue;
            }

            _eventBytes += length + 1;
            if (_eventBytes > _maxEventBytes)
            {
                break;
            }

            if (_buffer[start] == (byte)':')
            {
                // Between events a comment stands for itself, else an idle stream's keep-alives would add up to the limit.
                _eventBytes = _inEvent ? _eventBytes : 0;
                read = new SseRead(SseReadKind.Comment);
                return true;
            }

            _inEvent = true;
            ApplyField(start, length);
        }

        if (_eventBytes + (_end - _position) > _maxEventBytes)
        {
            _final = SseReadKind.TooLarge;
            _retry = null;
            read = new SseRead(SseReadKind.TooLarge);
            return true;
        }

        return false;
    }

    /// <summary>Takes the next complete line. CR ends a line at once: waiting for a possible LF would hold a finished event back.</summary>
    private bool TryReadLine(out int start, out int length)
    {
        start = length = 0;
        if (!_bomPassed && !TryPassBom())
        {
            return false;
        }

        if (_skipLineFeed && _position < _end)
        {
            _skipLineFeed = false;
            _position += _buffer[_position] == (byte)'\n' ? 1 : 0;
        }

        var rest = _buffer.AsSpan(_position, _end - _position);
        var at = rest[_scanned..].IndexOfAny((byte)'\r', (byte)'\n');
        if (at < 0)
        {
            _scanned = rest.Length;
            return false;
        }

        start = _position;
        length = _scanned + at;
        _skipLineFeed = rest[length] == (byte)'\r';
        _position += length + 1;
        _scanned = 0;
        return true;
    }

    private bool TryPassBom()
    {
        ReadOnlySpan<byte> bom = [0xEF, 0xBB, 0xBF];
        var head = _buffer.AsSpan(_position, Math.Min(bom.Length, _end - _position));
        if (head.Length < bom.Length && bom.StartsWith(head))
        {
            return false;
        }

        _bomPassed = true;
        _position += head.SequenceEqual(bom) ? bom.Length : 0;
        return true;
    }

    private void ApplyField(int start, int length)
    {
        var line = _buffer.AsSpan(start, length);
        var colon = line.IndexOf((byte)':');
        var name = colon < 0 ? line : line[..colon];
        var valueAt = colon < 0 ? length : colon + 1;
        if (valueAt < length && line[valueAt] == (byte)' ')
        {
            valueAt++;
        }

        var value = line[valueAt..];
        if (name.SequenceEqual("data"u8))
        {
            AppendData(start + valueAt, value.Length);
        }
        else if (name.SequenceEqual("event"u8))
        {
            _type = TypeOf(value);
        }
        else if (name.SequenceEqual("id"u8))
        {
            _id = value.Contains((byte)0) ? _id : Encoding.UTF8.GetString(value);
        }
        else if (name.SequenceEqual("retry"u8))
        {
            _retry = ParseRetry(value) ?? _retry;
        }
    }

    private void AppendData(int start, int length)
    {
        if (!_hasData)
        {
            _hasData = true;
            _dataStart = start;
            _dataLength = length;
            return;
        }

        var target = _dataStart + _dataLength;
        _buffer.AsSpan(start, length).CopyTo(_buffer.AsSpan(target + 1));
        _buffer[target] = (byte)'\n';
        _dataLength += length + 1;
    }

    /// <summary>Ends the event at its blank line; false where the standard and we have nothing to report.</summary>
    private bool TryDispatch(out SseRead read)
    {
        var worthReporting = _hasData || _id is not null;
        read = new SseRead(worthReporting ? SseReadKind.Event : SseReadKind.Retry)
        {
            Data = _hasData ? _buffer.AsMemory(_dataStart, _dataLength) : default,
            EventType = worthReporting ? _type : MessageType,
            LastEventId = _id,
            Retry = _retry,
        };
        var found = worthReporting || _retry is not null;
        _eventBytes = 0;
        _inEvent = _hasData = false;
        _dataLength = 0;
        _type = MessageType;
        _id = null;
        _retry = null;
        return found;
    }

    private string TypeOf(ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty || value.SequenceEqual("message"u8))
        {
            return MessageType;
        }

        if (value.SequenceEqual("endpoint"u8))
        {
            return EndpointType;
        }

        // A stream with types of its own mostly repeats one.
        if (!Ascii.Equals(value, _lastCustomType))
        {
            _lastCustomType = Encoding.UTF8.GetString(value);
        }

        return _lastCustomType;
    }

    /// <summary>ASCII digits only, as the standard says; more than an int of milliseconds (24 days) counts as that.</summary>
    private static TimeSpan? ParseRetry(ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty || value.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
        {
            return null;
        }

        long milliseconds = 0;
        foreach (var digit in value)
        {
            milliseconds = Math.Min((milliseconds * 10) + (digit - '0'), int.MaxValue);
        }

        return TimeSpan.FromMilliseconds(milliseconds);
    }

    private void Finish()
    {
        if (!_bomPassed)
        {
            _bomPassed = true; // fewer than three bytes: no mark, just an unfinished line
        }

        _final = _inEvent || _end > _position ? SseReadKind.CutMidEvent : SseReadKind.End;
    }

    /// <summary>Makes free space behind the rest of the line: by moving down what is kept if that frees half, else in a larger buffer.</summary>
    private void MakeRoom()
    {
        var rest = _end - _position;
        var kept = _dataLength + rest;
        var idle = kept == 0 && _buffer.Length > IdleBufferBytes;
        if (_end < _buffer.Length && !idle && kept > 0)
        {
            return;
        }

        var source = _buffer;
        var target = idle ? ArrayPool<byte>.Shared.Rent(IdleBufferBytes)
            : kept > source.Length / 2 ? ArrayPool<byte>.Shared.Rent(source.Length * 2)
            : source;
        source.AsSpan(_dataStart, _dataLength).CopyTo(target);
        source.AsSpan(_position, rest).CopyTo(target.AsSpan(_dataLength));
        _dataStart = 0;
        _position = _dataLength;
        _end = kept;
        if (target != source)
        {
            _buffer = target;
            ArrayPool<byte>.Shared.Return(source);
        }
    }
}
