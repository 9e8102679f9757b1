using System.Text;
using Mooring.Configuration;
using Mooring.Tests.Protocol;
using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.Tests.Upstreams.Stdio;

public sealed class ErrorOutputTests
{
    private readonly ManualTime _time = new();
    private readonly List<string> _told = [];

    [Theory]
    [InlineData("one\ntwo\n", "one", "two")]
    [InlineData("one\r\ntwo", "one", "two")]
    [InlineData("\n\n  \nindented:\n  yes  \n", "indented:", "  yes")]
    [InlineData("\x1b[31;1mred\x1b[0m and \x1b]0;title\aplain\x1b[2K\x1b\x07\n", "red and plain")]
    [InlineData("tab\tstays, \u009b31mC1 and \0 do not\n", "tab\tstays, 31mC1 and  do not")]
    public async Task Pump_Lines_AreCleanedAndTold(string text, params string[] expected)
    {
        await PumpAsync(text);

        Assert.Equal(expected, _told);
    }

    [Fact]
    public async Task Pump_InvalidUtf8_IsReplaced()
    {
        await PumpAsync([(byte)'a', 0xFF, (byte)'b', (byte)'\n']);

        Assert.Equal(["a\uFFFDb"], _told);
    }

    [Fact]
    public async Task Pump_EndlessLine_IsCutAndItsLengthTold()
    {
        await PumpAsync(new string('x', ErrorOutput.LongestLine + 100_000) + "\nnext\n");

        Assert.Equal([new string('x', ErrorOutput.LongestLine) + " … (100000 bytes more)", "next"], _told);
    }

    [Fact]
    public async Task Pump_SecretsOfTheServer_AreBlottedOut()
    {
        await PumpAsync("calling with sk-12345678 as /home/me\nshort: abc\n");

        Assert.Equal(["calling with *** as /home/me", "short: abc"], _told);
    }

    [Fact]
    public async Task Pump_MoreThanTheWindowLetsThrough_IsCountedAtTheEnd()
    {
        await PumpAsync(string.Concat(Enumerable.Repeat("x\n", LineLimit.LinesPerWindow + 17)));

        Assert.Equal(LineLimit.LinesPerWindow + 1, _told.Count);
        Assert.Equal("left out 17", _told[^1]);
    }

    [Fact]
    public async Task Pump_QuietAfterAFlood_TellsWhatWasLeftOutWhenTheWindowEnds()
    {
        var flood = string.Concat(Enumerable.Repeat("x\n", LineLimit.LinesPerWindow + 5));
        using var stream = new SplitStream(Encoding.UTF8.GetBytes(flood), _ => 100, stallAtEnd: true);
        using var stop = new CancellationTokenSource();
        var pump = Output().PumpAsync(stream, stop.Token);
        Assert.Equal(LineLimit.LinesPerWindow, _told.Count);

        _time.Advance(LineLimit.Window);
        Assert.Equal("left out 5", _told[^1]);

        await stop.CancelAsync();
        await pump;
        Assert.Equal(LineLimit.LinesPerWindow + 1, _told.Count);
    }

    [Fact]
    public void Limit_NextWindow_LetsThroughAgain_AndTellsTheOldCountOnce()
    {
        var limit = new LineLimit(_time);
        for (var i = 0; i < LineLimit.LinesPerWindow; i++)
        {
            Assert.True(limit.TryPass(out _));
        }

        Assert.False(limit.TryPass(out _));
        Assert.False(limit.TryPass(out _));
        _time.Advance(LineLimit.Window);

        Assert.True(limit.TryPass(out var leftOut));
        Assert.Equal(2, leftOut);
        Assert.True(limit.TryPass(out leftOut));
        Assert.Equal(0, leftOut);
        Assert.Equal(0, limit.TakeLeftOut());
    }

    [Fact]
    public async Task Pump_PipeBreaks_EndsQuietly_WithWhatWasRead()
    {
        using var stream = new SplitStream("half a line"u8.ToArray(), _ => 3, failAtEnd: true);

        await Output().PumpAsync(stream, CancellationToken.None);

        Assert.Equal(["half a line"], _told);
    }

    private Task PumpAsync(string text) => PumpAsync(Encoding.UTF8.GetBytes(text));

    private async Task PumpAsync(byte[] bytes)
    {
        using var stream = new SplitStream(bytes, _ => 7);
        await Output().PumpAsync(stream, CancellationToken.None);
    }

    private ErrorOutput Output()
    {
        var config = new ServerConfig
        {
            Name = "test",
            Env = new Dictionary<string, string>(StringComparer.Ordinal) { ["API_KEY"] = "sk-12345678", ["SHORT_TOKEN"] = "abc", ["HOME"] = "/home/me" },
        };
        return new ErrorOutput(config, _time, _told.Add, count => _told.Add($"left out {count}"));
    }
}
