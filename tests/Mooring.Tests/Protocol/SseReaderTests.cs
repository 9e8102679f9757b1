using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

public sealed class SseReaderTests
{
    private const int Limit = 1 << 20;

    [Theory]
    [InlineData("data: a\n\ndata: b\n\n")]
    [InlineData("data: a\r\rdata: b\r\r")]
    [InlineData("data: a\r\n\r\ndata: b\r\n\r\n")]
    [InlineData("data: a\r\n\ndata: b\n\r\n")]
    [InlineData("data: a\r\n\r\n\r\n\ndata: b\r\r\n")]
    public async Task Read_EachLineEnd_SplitAtEveryByte_GivesTheSameEvents(string text)
    {
        for (var chunk = 1; chunk <= text.Length; chunk++)
        {
            Assert.Equal(["message a", "message b", "End"], await TellAsync(text, chunk));
        }
    }

    [Fact]
    public async Task Read_CarriageReturnsOnly_EventIsGivenBeforeTheNextByteArrives()
    {
        using var stream = new SplitStream(Encoding.UTF8.GetBytes("data: a\r\r"), _ => 64, stallAtEnd: true);
        using var reader = new SseReader(stream, Limit);

        var read = reader.ReadAsync(CancellationToken.None);

        Assert.True(read.IsCompletedSuccessfully);
        Assert.Equal("a", Text((await read).Data));
    }

    [Fact]
    public async Task Read_ByteOrderMark_OnlyTheLeadingOneIsDropped()
    {
        Assert.Equal(["message a", "End"], await TellAsync("\uFEFFdata: a\n\n\uFEFFdata: b\n\n", 1));
        Assert.Equal(["message a", "End"], await TellAsync("\uFEFFdata: a\n\n", 64));
    }

    [Theory]
    [InlineData("data: a\ndata: b\n\n", "message a|b")]
    [InlineData("data:a\ndata:  b\n\n", "message a| b")]
    [InlineData("data\ndata\n\n", "message |")]
    [InlineData("data\n\n", "message ")]
    [InlineData("data:\n\n", "message ")]
    [InlineData("data: a\nnonsense: x\ndata: b\n\n", "message a|b")]
    [InlineData("data: a:b\n\n", "message a:b")]
    [InlineData("Data: a\ndata : b\n data: c\ndata: d\n\n", "message d")]
    public async Task Read_DataLines_AreJoinedByLineFeed(string text, string expected) =>
        Assert.Equal([expected, "End"], await TellAsync(text, 3));

    [Theory]
    [InlineData("event: endpoint\ndata: /m\n\n", "endpoint /m")]
    [InlineData("event: a\nevent: b\ndata: x\n\n", "b x")]
    [InlineData("event: a\nevent\ndata: x\n\n", "message x")]
    [InlineData("event: a\n\ndata: x\n\n", "message x")]
    [InlineData("event: größe\ndata: x\n\n", "größe x")]
    public async Task Read_EventType_LastOneOfTheBlockCounts(string text, string expected) =>
        Assert.Equal([expected, "End"], await TellAsync(text, 2));

    [Fact]
    public async Task Read_KnownAndRepeatedTypes_AreTheSameString()
    {
        using var reader = Over("event: endpoint\ndata: a\n\nevent: own\ndata: a\n\nevent: own\ndata: b\n\n");

        Assert.Same(SseReader.EndpointType, (await reader.ReadAsync(CancellationToken.None)).EventType);
        var first = (await reader.ReadAsync(CancellationToken.None)).EventType;
        Assert.Same(first, (await reader.ReadAsync(CancellationToken.None)).EventType);
        Assert.Equal("own", first);
    }

    [Theory]
    [InlineData("id: 7\ndata: a\n\ndata: b\n\n", "message a #7", "message b")]
    [InlineData("id\ndata: a\n\nid:\n\n", "message a #", "message  #")]
    [InlineData("id: 1\nid: 2\ndata: a\n\nid: x\0y\ndata: b\n\n", "message a #2", "message b")]
    [InlineData("id: 1\nid: \0\ndata: a\n\nid:  2 \ndata: b\n\n", "message a #1", "message b # 2 ")]
    public async Task Read_Id_IsTheOneOfItsEvent(string text, string first, string second) =>
        Assert.Equal([first, second, "End"], await TellAsync(text, 5));

    [Fact]
    public async Task Read_PrimerWithoutData_IsReportedWithItsIdAndRetry()
    {
        Assert.Equal(["message  #p1 ~500", "End"], await TellAsync("id: p1\nretry: 500\ndata:\n\n", 4));
        Assert.Equal(["message  #p1 ~500", "End"], await TellAsync("retry: 500\nid: p1\n\n", 4));
    }

    [Theory]
    [InlineData("retry: 1500\n\n", "Retry ~1500")]
    [InlineData("retry: 1\nretry: 2\n\n", "Retry ~2")]
    [InlineData("retry: 007\nretry: 1e3\nretry: -1\nretry:\nretry: 5 \n\n", "Retry ~7")]
    [InlineData("retry: 99999999999999999999999\n\n", "Retry ~2147483647")]
    [InlineData("retry: 10\ndata: a\n\n", "message a ~10")]
    public async Task Read_Retry_DigitsOnly(string text, string expected) =>
        Assert.Equal([expected, "End"], await TellAsync(text, 2));

    [Theory]
    [InlineData("event: x\n\n\n\nfoo: 1\n\nretry: abc\n\n")]
    [InlineData("")]
    [InlineData("\uFEFF")]
    [InlineData("\r\n\r\n")]
    public async Task Read_BlocksWithoutNews_AreSkipped(string text) =>
        Assert.Equal(["End"], await TellAsync(text, 1));

    [Fact]
    public async Task Read_Comments_AreReportedAndNeverPartOfData() =>
        Assert.Equal(
            ["Comment", "Comment", "Comment", "message a|b", "Comment", "End"],
            await TellAsync(":\n: ping\n\ndata: a\n:data: no\ndata: b\n\n::\n", 3));

    [Theory]
    [InlineData("data: a\n\ndata: b\n", "message a", "CutMidEvent")]
    [InlineData("data: a\n\ndata: b", "message a", "CutMidEvent")]
    [InlineData("data: a\n\n: pin", "message a", "CutMidEvent")]
    [InlineData("id: 1\ndata: a\n\nid: 2\nretry: 9\n", "message a #1", "CutMidEvent ~9")]
    public async Task Read_StreamEndsInsideAnEvent_ThatEventIsNotDispatched(string text, params string[] expected) =>
        Assert.Equal(expected, await TellAsync(text, 4));

    [Theory]
    [InlineData("\xEF")]
    [InlineData("\xEF\xBB")]
    public async Task Read_StreamEndsInsideAByteOrderMark_IsCut(string latin)
    {
        using var stream = new SplitStream(Encoding.Latin1.GetBytes(latin), _ => 1);
        using var reader = new SseReader(stream, Limit);

        Assert.Equal(SseReadKind.CutMidEvent, (await reader.ReadAsync(CancellationToken.None)).Kind);
    }

    [Fact]
    public async Task Read_AfterTheLast_GivesTheSameForEver()
    {
        using var reader = Over("data: a");

        Assert.Equal(SseReadKind.CutMidEvent, (await reader.ReadAsync(CancellationToken.None)).Kind);
        Assert.Equal(SseReadKind.CutMidEvent, (await reader.ReadAsync(CancellationToken.None)).Kind);
    }

    [Theory]
    [InlineData("data: 567890\n\n")] // one line: 12 bytes and its end
    [InlineData("data: 5\n: 0123\n\n")] // a comment inside the event counts
    [InlineData("data: 5678901")] // a line without end
    [InlineData("foo\nfoo\nfoo\nfoo\n\n")] // nothing to report, still endless
    [InlineData(": 2345678901\n\n")]
    public async Task Read_OverTheLimit_IsTooLargeAndStaysSo(string text)
    {
        for (var chunk = 1; chunk <= text.Length; chunk++)
        {
            using var stream = new SplitStream(Encoding.UTF8.GetBytes(text), _ => chunk);
            using var reader = new SseReader(stream, 12);
            SseReadKind kind;
            do
            {
                kind = (await reader.ReadAsync(CancellationToken.None)).Kind;
            }
            while (kind == SseReadKind.Comment);

            Assert.Equal(SseReadKind.TooLarge, kind);
            Assert.Equal(SseReadKind.TooLarge, (await reader.ReadAsync(CancellationToken.None)).Kind);
        }
    }

    [Fact]
    public async Task Read_ExactlyAtTheLimit_AgainAndAgain_IsFine()
    {
        var text = string.Concat(Enumerable.Repeat("data: 56789\n\n: 34567890\n", 50));
        var told = await TellAsync(text, 7, limit: 12);

        Assert.Equal(101, told.Count);
        Assert.Equal(50, told.Count(line => line == "message 56789"));
        Assert.Equal("End", told[^1]);
    }

    [Fact]
    public async Task Read_EndlessLine_StopsReadingAtTheLimit()
    {
        using var stream = new SplitStream(Encoding.UTF8.GetBytes(new string('x', 1 << 20)), _ => 1000);
        using var reader = new SseReader(stream, 50_000);

        Assert.Equal(SseReadKind.TooLarge, (await reader.ReadAsync(CancellationToken.None)).Kind);
        Assert.InRange(stream.Position, 50_001, 51_000);
    }

    [Fact]
    public async Task Read_LargeEventsBetweenSmallOnes_GrowAndShrinkWithoutLoss()
    {
        var sizes = new[] { 1, 5_000, 10, 300_000, 2, 70_000, 4_090, 4_096 };
        var text = string.Concat(sizes.Select((size, i) =>
            $"data: {new string((char)('a' + i), size)}\ndata: {new string((char)('A' + i), size)}\n\n"));
        using var stream = new SplitStream(Encoding.UTF8.GetBytes(text), _ => 1_337);
        using var reader = new SseReader(stream, Limit);

        for (var i = 0; i < sizes.Length; i++)
        {
            var expected = new string((char)('a' + i), sizes[i]) + "\n" + new string((char)('A' + i), sizes[i]);
            Assert.Equal(expected, Text((await reader.ReadAsync(CancellationToken.None)).Data));
        }

        Assert.Equal(SseReadKind.End, (await reader.ReadAsync(CancellationToken.None)).Kind);
    }

    [Fact]
    public async Task Read_StreamFails_ExceptionPassesThrough()
    {
        using var stream = new SplitStream(Encoding.UTF8.GetBytes("data: a\n\ndata"), _ => 64, failAtEnd: true);
        using var reader = new SseReader(stream, Limit);

        Assert.Equal("a", Text((await reader.ReadAsync(CancellationToken.None)).Data));
        await Assert.ThrowsAsync<IOException>(async () => await reader.ReadAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Read_Cancelled_ThenReadAgain_LosesNothing()
    {
        using var stream = new SplitStream(Encoding.UTF8.GetBytes("data: a\nda"), _ => 64, stallAtEnd: true);
        using var reader = new SseReader(stream, Limit);
        using var cancel = new CancellationTokenSource();
        var read = reader.ReadAsync(cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);

        stream.Append("ta: b\n\n");

        Assert.Equal("a\nb", Text((await reader.ReadAsync(CancellationToken.None)).Data));
    }

    [Fact]
    public async Task Read_ManyEvents_AllocatesNothingPerEvent()
    {
        var text = string.Concat(Enumerable.Repeat("event: message\ndata: {\"a\":1}\ndata: x\n\n: ping\n", 20_000));
        using var stream = new SplitStream(Encoding.UTF8.GetBytes(text), _ => 4096);
        using var reader = new SseReader(stream, Limit);
        await reader.ReadAsync(CancellationToken.None);

        // What is left in an unoptimised build is one state machine per read of the stream. Every read completes at once, so the whole loop stays on this thread.
        var before = GC.GetAllocatedBytesForCurrentThread();
        var events = 0;
        while ((await reader.ReadAsync(CancellationToken.None)).Kind != SseReadKind.End)
        {
            events++;
        }

        var perEvent = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)events;
        Assert.Equal(39_999, events);
        Assert.True(perEvent < 8, $"{perEvent} bytes per event");
    }

    [Fact]
    public async Task Read_Disposed_Throws()
    {
        var reader = Over("data: a\n\n");
        reader.Dispose();
        reader.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await reader.ReadAsync(CancellationToken.None));
    }

    internal static string Tell(SseRead read) => read.Kind switch
    {
        SseReadKind.Event => $"{read.EventType} {Text(read.Data).Replace('\n', '|')}",
        _ => read.Kind.ToString(),
    } + (read.LastEventId is { } id ? $" #{id}" : "") + (read.Retry is { } retry ? $" ~{retry.TotalMilliseconds}" : "");

    private static string Text(ReadOnlyMemory<byte> data) => Encoding.UTF8.GetString(data.Span);

    private static SseReader Over(string text) => new(new SplitStream(Encoding.UTF8.GetBytes(text), _ => 64), Limit);

    private static async Task<List<string>> TellAsync(string text, int chunk, int limit = Limit)
    {
        using var stream = new SplitStream(Encoding.UTF8.GetBytes(text), _ => chunk);
        using var reader = new SseReader(stream, limit);
        var told = new List<string>();
        SseRead read;
        do
        {
            read = await reader.ReadAsync(CancellationToken.None);
            told.Add(Tell(read));
        }
        while (read.Kind is SseReadKind.Event or SseReadKind.Comment or SseReadKind.Retry);

        return told;
    }
}
