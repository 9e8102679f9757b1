using System.IO.Pipelines;

namespace Mooring.Host.Listening;

/// <summary>
/// Reads of a client's connection that leave their thread after each <see cref="Turn"/>. What a connection brings is handled on the thread
/// that waits for all of them (decision 0023); a client that always has more to say would keep it to itself.
/// </summary>
internal sealed class FairInput(PipeReader inner) : PipeReader
{
    /// <summary>Reads before the others have their turn: some ten calls, or 128 kB of a body.</summary>
    public const int Turn = 32;

    private int _reads;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (++_reads < Turn)
        {
            return inner.ReadAsync(cancellationToken);
        }

        _reads = 0;
        return LeaveAsync(cancellationToken);
    }

    public override bool TryRead(out ReadResult result) => inner.TryRead(out result);

    public override void AdvanceTo(SequencePosition consumed) => inner.AdvanceTo(consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => inner.AdvanceTo(consumed, examined);

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    private async ValueTask<ReadResult> LeaveAsync(CancellationToken cancel)
    {
        await Task.Yield();
        return await inner.ReadAsync(cancel);
    }

    /// <summary>A connection with its input read fairly.</summary>
    internal sealed class Transport(IDuplexPipe inner) : IDuplexPipe
    {
        public PipeReader Input { get; } = new FairInput(inner.Input);

        public PipeWriter Output => inner.Output;
    }
}
