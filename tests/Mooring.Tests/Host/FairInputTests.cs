using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Mooring.Host.Listening;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary>A client that always has more to say gives the thread back that waits for all.</summary>
public sealed class FairInputTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private const int Longest = FairInput.Turn + FairInput.Looks - 1;

    [Fact]
    public async Task ConnectionWithoutPause_GivesWayAfterEachTurn() => Assert.Equal(3, await CountTurnsAsync(Longest * 3, () => true));

    [Fact]
    public async Task LessThanATurn_IsReadInOneGo() => Assert.Equal(0, await CountTurnsAsync(Longest - 1, () => true));

    [Fact]
    public async Task ConnectionThatPauses_StaysWhereItIs() => Assert.Equal(0, await CountTurnsAsync(Longest * 3, () => false));

    [Fact]
    public async Task ConnectionThatPausesOnceInAWhile_StaysWhereItIs()
    {
        var look = 0;
        Assert.Equal(0, await CountTurnsAsync(Longest * 10, () => ++look % FairInput.Looks != 0));
    }

    [Fact]
    public async Task Socket_IsAskedWhetherMoreHasCome()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Cancel);
        using var server = await listener.AcceptSocketAsync(Cancel);
        var pipe = new Pipe();
        var input = new FairInput.Transport(new DuplexPipe(pipe.Reader), server).Input;

        Assert.Equal(0, await CountTurnsAsync(input, pipe.Writer, Longest));
        await client.Client.SendAsync("more"u8.ToArray(), Cancel);
        SpinWait.SpinUntil(() => server.Available > 0);
        Assert.Equal(1, await CountTurnsAsync(input, pipe.Writer, Longest));
        server.Dispose();
        Assert.Equal(1, await CountTurnsAsync(input, pipe.Writer, Longest));
    }

    [Fact]
    public async Task Read_AfterATurn_GetsWhatIsThere()
    {
        var pipe = new Pipe();
        var input = new FairInput(pipe.Reader, () => true);
        for (byte read = 0; read < Longest * 2; read++)
        {
            await pipe.Writer.WriteAsync(new[] { read }, Cancel);
            var result = await input.ReadAsync(Cancel);
            Assert.Equal(read, result.Buffer.FirstSpan[0]);
            input.AdvanceTo(result.Buffer.End);
        }
    }

    private static Task<int> CountTurnsAsync(int reads, Func<bool> hasMore)
    {
        var pipe = new Pipe();
        return CountTurnsAsync(new FairInput(pipe.Reader, hasMore), pipe.Writer, reads);
    }

    /// <summary>How often reads of a connection left their thread of their own accord.</summary>
    private static async Task<int> CountTurnsAsync(PipeReader input, PipeWriter writer, int reads)
    {
        await writer.WriteAsync("more"u8.ToArray(), Cancel);
        var context = new CountingContext();
        for (var read = 0; read < reads; read++)
        {
            var result = await context.Run(() => input.ReadAsync(Cancel));
            input.AdvanceTo(result.Buffer.Start);
        }

        return context.Posted;
    }

    private sealed class DuplexPipe(PipeReader input) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => throw new NotSupportedException();
    }
}
