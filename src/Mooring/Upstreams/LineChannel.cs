using System.Buffers;
using System.IO.Pipelines;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>Newline-delimited JSON over a pair of streams (specification, basic/transports, "stdio"): child processes and connectors.</summary>
internal sealed class LineChannel : IMessageChannel
{
    private static readonly byte[] NewLine = "\n"u8.ToArray();

    private readonly PipeReader _reader;
    private readonly Stream _output;
    private readonly long _maxBytes;
    private readonly FrameLimits _limits;
    private readonly Func<ValueTask> _close;
    private readonly Func<string> _endReason;
    private readonly bool _takesLast;
    private readonly LineEnds _long = new();
    private bool _skipping;
    private long _scanned;

    /// <param name="input">What the server writes.</param>
    /// <param name="output">What the server reads.</param>
    /// <param name="maxBytes">Longest line accepted.</param>
    /// <param name="limits">What a message may be otherwise.</param>
    /// <param name="endReason">Why the far end stopped, once it has.</param>
    /// <param name="close">Stops the far end.</param>
    /// <param name="takesLast">Whether what the last line end leaves over is a line too; of a process that died it may be half of one.</param>
    public LineChannel(Stream input, Stream output, long maxBytes, FrameLimits limits, Func<string> endReason, Func<ValueTask> close, bool takesLast = false)
    {
        _takesLast = takesLast;
        _reader = PipeReader.Create(new FairStream(input), new StreamPipeReaderOptions(bufferSize: 16 * 1024, minimumReadSize: 4096));
        _output = output;
        _maxBytes = maxBytes;
        _limits = limits;
        _endReason = endReason;
        _close = close;
    }

    public string EndReason => _endReason();

    /// <summary>Whether the far end was over before anyone here closed it.</summary>
    public bool HasEnded { get; private set; }

    public async ValueTask<Sent> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel, PendingRequest? of = null)
    {
        try
        {
            // Not cancelled between the two: half a line would spoil the next message.
            await _output.WriteAsync(json, CancellationToken.None);
            await _output.WriteAsync(NewLine, CancellationToken.None);
            await _output.FlushAsync(CancellationToken.None);
            return Sent.Yes;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return Sent.No;
        }
    }

    public async ValueTask<ChannelRead> ReadAsync(CancellationToken cancel)
    {
        while (true)
        {
            var result = await _reader.ReadAsync(cancel);
            var buffer = result.Buffer;

            // What was looked through before has no line end; looking again at every read would take a long line squared.
            var end = buffer.Slice(_scanned).PositionOf((byte)'\n');
            _scanned = 0;
            if (end is not null)
            {
                var line = buffer.Slice(0, end.Value);
                var next = buffer.GetPosition(1, end.Value);
                if (_skipping)
                {
                    _skipping = false;
                    _long.Skip(line);
                    _reader.AdvanceTo(next);
                    if (_long.AnswersAtTheEnd() is { } answered)
                    {
                        return TooLong(answered);
                    }

                    continue;
                }

                if (line.Length > FairStream.Turn)
                {
                    await Task.Yield();
                }

                var read = Parse(line);
                _reader.AdvanceTo(next);
                if (read.Frame is not null || read.Fault is not null)
                {
                    return read;
                }

                continue;
            }

            if (buffer.Length > _maxBytes)
            {
                // The rest of that line is skipped; what follows it may be good again.
                var starts = !_skipping;
                var answered = starts ? _long.Begin(buffer) : null;
                _skipping = true;
                _long.Skip(buffer);
                _reader.AdvanceTo(buffer.End);
                if (starts)
                {
                    return TooLong(answered);
                }

                continue;
            }

            if (result.IsCompleted)
            {
                HasEnded = true;
                if (!_takesLast || buffer.IsEmpty || _skipping)
                {
                    return default;
                }

                var last = Parse(buffer);
                _reader.AdvanceTo(buffer.End);
                return last;
            }

            if (_skipping)
            {
                _long.Skip(buffer);
            }

            _scanned = _skipping ? 0 : buffer.Length;
            _reader.AdvanceTo(_skipping ? buffer.End : buffer.Start, buffer.End);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _close();
        await _reader.CompleteAsync();
    }

    private ChannelRead TooLong(long? answered) => new(null, $"a line longer than the limit of {_maxBytes} bytes", answered);

    private ChannelRead Parse(ReadOnlySequence<byte> line)
    {
        var length = (int)line.Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        line.CopyTo(bytes);
        if (bytes.AsSpan(0, length).Trim(" \t\r"u8).IsEmpty)
        {
            ArrayPool<byte>.Shared.Return(bytes);
            return default;
        }

        return ChannelRead.Parse(bytes, length, pooled: true, _limits);
    }
}
