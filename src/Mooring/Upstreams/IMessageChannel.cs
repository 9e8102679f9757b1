using Mooring.Configuration;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>One two-way channel of whole messages to a server: standard streams of a process or connector, or HTTP+SSE. Plug point of <see cref="ChannelLink"/>.</summary>
internal interface IMessageChannel : IAsyncDisposable
{
    /// <summary>Hands over one message, one at a time, in order.</summary>
    /// <param name="json">The message.</param>
    /// <param name="cancel">Gives up.</param>
    /// <param name="of">The request that it is; null: it is none.</param>
    /// <returns>What is known of it; where that is not <see cref="Sent.Yes"/>, <see cref="EndReason"/> says why.</returns>
    ValueTask<Sent> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel, PendingRequest? of = null);

    /// <summary>The next message; null at the end. What is not a message comes as a fault and is not the end.</summary>
    ValueTask<ChannelRead> ReadAsync(CancellationToken cancel);

    /// <summary>Why the channel ended, in words.</summary>
    string EndReason { get; }
}

/// <summary>What became of a message that was sent.</summary>
internal enum Sent
{
    /// <summary>It is on its way, and what comes of it comes as a message.</summary>
    Yes,

    /// <summary>It provably did not leave, or was refused before anything was done.</summary>
    No,

    /// <summary>The server says that it failed, and not whether it had begun (HTTP 5xx): nothing comes of it any more, and it is not to be sent again.</summary>
    Perhaps,
}

/// <param name="Frame">The message, or null.</param>
/// <param name="Fault">What was wrong with what came instead; null with no frame: the end.</param>
/// <param name="Spoiled">The request that was answered with it, where that could still be read.</param>
internal readonly record struct ChannelRead(Frame? Frame, string? Fault, long? Spoiled = null)
{
    /// <summary>A message, or what is wrong with it.</summary>
    public static ChannelRead Parse(byte[] bytes, int length, bool pooled, FrameLimits limits)
    {
        if (FrameReader.Take(bytes, length, pooled, limits, out var fault) is { } frame)
        {
            return new ChannelRead(frame, null);
        }

        var text = bytes.AsMemory(0, length);
        return new ChannelRead(null, fault!.Value.Message, !fault.Value.HasMethod && JsonRpc.TryReadId(text.Span.Slice(fault.Value.Id.Start, fault.Value.Id.Length), out var id) ? id : null)
        {
            Batch = FrameReader.IsBatch(text.Span) ? text : default,
        };
    }

    /// <summary>The text, where it is a JSON array: a batch of messages to servers of 2025-03-26, and no message to any other.</summary>
    public ReadOnlyMemory<byte> Batch { get; private init; }

    /// <summary>What came, one after the other, from a server of a version: 2025-03-26 has batches, which must be understood (basic, "Batching").</summary>
    /// <param name="version">What was negotiated with the server.</param>
    /// <param name="limits">Of messages and batches.</param>
    public IReadOnlyList<ChannelRead> In(ProtocolVersion version, LimitsConfig limits)
    {
        if (Batch.IsEmpty || version != ProtocolVersion.V2025_03_26)
        {
            return [this];
        }

        var (batch, of) = (Batch, new FrameLimits(limits.JsonDepth));
        return FrameReader.SplitBatch(batch.Span, of, limits.Batch, out var fault) is { } parts
            ? parts.ConvertAll(part => Parse(batch.Slice(part.Start, part.Length).ToArray(), part.Length, pooled: false, of))
            : [new ChannelRead(null, fault!.Value.Message)];
    }

    public bool IsEnd => Frame is null && Fault is null;
}
