using System.IO.Pipelines;
using System.Net.Sockets;

namespace Mooring.Host.Listening;

/// <summary>
/// Reads of a client's connection that leave their thread after a <see cref="Turn"/> if more is there already. What a connection brings is handled on
/// the thread that waits for all of them (decision 0023); a client that always has more to say would keep it to itself. One that pauses, as all do that
/// wait for their answers, gives it back by itself.
/// </summary>
/// <param name="inner">What is read.</param>
/// <param name="hasMore">Whether more has come than was read from the connection so far.</param>
internal sealed class FairInput(PipeReader inner, Func<bool> hasMore) : PipeReader
{
    /// <summary>Reads before it is asked whether the others should have their turn: some ten calls, or 128 kB of a body.</summary>
    public const int Turn = 32;

    /// <summary>
    /// So many reads in a row must leave something behind. One does so by chance with a client that asks again as soon as it is answered, and to go to
    /// the thread pool costs more than to look.
    /// </summary>
    public const int Looks = 8;

    private int _reads;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (++_reads < Turn)
        {
            return inner.ReadAsync(cancellationToken);
        }

        var more = hasMore();
        if (more && _reads < Turn + Looks - 1)
        {
            return inner.ReadAsync(cancellationToken);
        }

        _reads = 0;
        return more ? LeaveAsync(cancellationToken) : inner.ReadAsync(cancellationToken);
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
    /// <param name="inner">What it is without.</param>
    /// <param name="socket">Where it comes from; null where nobody knows, and it is taken for one that always has more.</param>
    internal sealed class Transport(IDuplexPipe inner, Socket? socket) : IDuplexPipe
    {
        public PipeReader Input { get; } = new FairInput(inner.Input, () => HasMore(socket));

        public PipeWriter Output => inner.Output;

        private static bool HasMore(Socket? socket)
        {
            try
            {
                return socket is not { Available: 0 };
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It broke; whoever reads on is told.
                return true;
            }
        }
    }
}
