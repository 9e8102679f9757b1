using System.IO.Pipelines;
using Mooring.Host.Listening;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary>A client that always has more to say gives the thread back that waits for all.</summary>
public sealed class FairInputTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ConnectionWithoutPause_GivesWayAfterEachTurn() => Assert.Equal(3, await CountTurnsAsync(FairInput.Turn * 3));

    [Fact]
    public async Task LessThanATurn_IsReadInOneGo() => Assert.Equal(0, await CountTurnsAsync(FairInput.Turn - 1));

    [Fact]
    public async Task Read_AfterATurn_GetsWhatIsThere()
    {
        var pipe = new Pipe();
        var input = new FairInput(pipe.Reader);
        for (byte read = 0; read < FairInput.Turn * 2; read++)
        {
            await pipe.Writer.WriteAsync(new[] { read }, Cancel);
            var result = await input.ReadAsync(Cancel);
            Assert.Equal(read, result.Buffer.FirstSpan[0]);
            input.AdvanceTo(result.Buffer.End);
        }
    }

    /// <summary>How often reads of a connection that always has more left their thread of their own accord.</summary>
    private static async Task<int> CountTurnsAsync(int reads)
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync("more"u8.ToArray(), Cancel);
        var input = new FairInput(pipe.Reader);
        var context = new CountingContext();
        for (var read = 0; read < reads; read++)
        {
            var result = await context.Run(() => input.ReadAsync(Cancel));
            input.AdvanceTo(result.Buffer.Start);
        }

        return context.Posted;
    }
}
