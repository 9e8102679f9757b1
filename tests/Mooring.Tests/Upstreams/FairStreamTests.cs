using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>A source that always has more gives its thread back after each turn.</summary>
public sealed class FairStreamTests
{
    private const int Piece = FairStream.Turn / 4;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SourceWithoutPause_GivesWayAfterEachTurn() => Assert.Equal(3, await CountTurnsAsync(FairStream.Turn * 3));

    [Fact]
    public async Task LessThanATurn_IsReadInOneGo() => Assert.Equal(0, await CountTurnsAsync(Piece * 3));

    [Fact]
    public async Task SourceThatWaits_BeginsItsTurnAnew()
    {
        var source = new WaitingStream();
        await using var stream = new FairStream(source);
        var buffer = new byte[Piece];
        var context = new CountingContext();

        for (var read = 0; read < 20; read++)
        {
            // Two at once, the third only after a wait.
            source.Waits = read % 3 == 2;
            var reading = context.Run(() => stream.ReadAsync(buffer, Cancel));
            source.Release();
            Assert.Equal(Piece, await reading);
        }

        Assert.Equal(0, context.Posted);
    }

    /// <summary>How often reads of a source that always has more left their thread of their own accord.</summary>
    private static async Task<int> CountTurnsAsync(int bytes)
    {
        await using var stream = new FairStream(new MemoryStream(new byte[bytes]));
        var buffer = new byte[Piece];
        var context = new CountingContext();
        while (await context.Run(() => stream.ReadAsync(buffer, Cancel)) > 0)
        {
        }

        return context.Posted;
    }

    private sealed class WaitingStream : MemoryStream
    {
        private TaskCompletionSource<int>? _waiting;

        public bool Waits { get; set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!Waits)
            {
                return new(buffer.Length);
            }

            _waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return new(_waiting.Task);
        }

        public void Release() => _waiting?.TrySetResult(Piece);
    }
}
