using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Mooring.Configuration;
using Mooring.Host.Listening;
using Xunit;

namespace Mooring.Tests.Host;

public sealed class PrefaceReaderTests
{
    private const string Http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    // Inline, so that a test knows what the reader has seen when the write returns.
    private readonly Pipe _pipe = new(new PipeOptions(readerScheduler: PipeScheduler.Inline, useSynchronizationContext: false));
    private readonly FakeClock _clock = new();
    private readonly HttpConfig _http = new();
    private readonly DefaultConnectionContext _connection;

    public PrefaceReaderTests() => _connection = new() { Transport = new Duplex(_pipe.Reader) };

    private Task<Preface> Read() => PrefaceReader.ReadAsync(_connection, _http, _clock);

    private async Task SendAsync(string text) => await _pipe.Writer.WriteAsync(Encoding.ASCII.GetBytes(text));

    private async Task<string> RestAsync()
    {
        await _pipe.Writer.CompleteAsync();
        var rest = await _pipe.Reader.ReadAtLeastAsync(1000);
        return Encoding.ASCII.GetString(rest.Buffer);
    }

    [Theory]
    [InlineData(Http2, "Http2")]
    [InlineData("PRI * HTTP/2.0\r\n", "Http2")]
    [InlineData("POST /mcp HTTP/1.1\r\n", "Http1")]
    [InlineData("PRIVATE / HTTP/1.1\r\n", "Http1")]
    [InlineData("\r\n", "Http1")]
    public async Task Read_WholeStart_DecidesAndLeavesEverythingUnread(string start, string preface)
    {
        await SendAsync(start);

        Assert.Equal(preface, (await Read()).ToString());
        Assert.Equal(start, await RestAsync());
    }

    [Theory]
    [InlineData(Http2, "Http2", 16)]
    [InlineData("PUT / HTTP/1.1\r\n", "Http1", 2)]
    [InlineData("PRI * HTTP/1.1\r\n", "Http1", 12)]
    public async Task Read_ByteByByte_DecidesAsSoonAsItCan(string start, string preface, int needed)
    {
        var reading = Read();
        for (var i = 0; i < needed; i++)
        {
            Assert.False(reading.IsCompleted);
            await SendAsync(start[i..(i + 1)]);
        }

        Assert.Equal(preface, (await reading).ToString());
        Assert.Equal(start[..needed], await RestAsync());
    }

    [Fact]
    public async Task Read_NothingComes_GivesUpAfterTheKeepAlive()
    {
        var reading = Read();
        await _clock.WaitForTimersAsync(1);
        _clock.Advance(_http.KeepAlive - TimeSpan.FromSeconds(1));
        Assert.False(reading.IsCompleted);

        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(Preface.None, await reading);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_BegunButNotFinished_GivesUpAfterTheHeadersTimeout(bool beforeTheRead)
    {
        if (beforeTheRead)
        {
            await SendAsync("PRI * H");
        }

        var reading = Read();
        if (!beforeTheRead)
        {
            // Runs the reader on this thread up to its next wait, where it has exchanged one timeout for the other.
            await SendAsync("PRI * H");
        }

        await _clock.WaitForTimersAsync(1);
        _clock.Advance(_http.HeadersTimeout - TimeSpan.FromSeconds(1));
        Assert.False(reading.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(Preface.None, await reading);
    }

    [Theory]
    [InlineData("")]
    [InlineData("PRI *")]
    public async Task Read_ClosedTooEarly_IsNeither(string start)
    {
        await SendAsync(start);
        await _pipe.Writer.CompleteAsync();

        Assert.NotEqual(Preface.Http2, await Read());
    }

    [Fact]
    public async Task Read_ConnectionWasReset_IsNeither()
    {
        await _pipe.Writer.CompleteAsync(new ConnectionResetException("reset"));

        Assert.Equal(Preface.None, await Read());
    }

    [Fact]
    public async Task Read_ConnectionReset_IsNeither()
    {
        var reading = Read();
        await _pipe.Writer.CompleteAsync(new ConnectionResetException("reset"));

        Assert.Equal(Preface.None, await reading);
    }

    [Fact]
    public async Task Read_ServerStops_EndsAtOnce()
    {
        using var stop = new CancellationTokenSource();
        _connection.ConnectionClosed = stop.Token;
        var reading = Read();
        await _clock.WaitForTimersAsync(1);

        await stop.CancelAsync();

        Assert.Equal(Preface.None, await reading);
    }

    private sealed class Duplex(PipeReader input) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output { get; } = new Pipe().Writer;
    }
}
