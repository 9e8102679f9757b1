using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Mooring.Audit;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Audit;

/// <summary>The file: what becomes of it when it is moved, full or away, and that nothing is lost unsaid.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-audit-").FullName;
    private readonly FakeClock _clock = new();
    private readonly FixtureLog _log = new();

    private string Path => System.IO.Path.Combine(_folder, "sub", "audit.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Lines_AreAddedToWhatIsThere_AndATornOneSpoilsNoOther()
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        await File.WriteAllTextAsync(Path, "{\"event\":\"earlier\"}\n{\"event\":\"to", TestContext.Current.CancellationToken);

        await using (var audit = New())
        {
            audit.Write(new AuditEntry("a", "ok"));
        }

        var lines = await File.ReadAllLinesAsync(Path, TestContext.Current.CancellationToken);
        Assert.Equal(3, lines.Length);
        Assert.Equal("a", (string)JsonNode.Parse(lines[2])!["event"]!);
    }

    [Fact]
    public async Task File_MovedAway_IsBegunAnew()
    {
        await using var audit = New();
        audit.Write(new AuditEntry("a", "ok"));
        await UntilAsync(() => Count(Path) == 1);

        File.Move(Path, Path + ".1");
        audit.Write(new AuditEntry("b", "ok"));
        await UntilAsync(() => Count(Path) == 1);
        File.Move(Path, Path + ".2");
        await File.WriteAllTextAsync(Path, "", TestContext.Current.CancellationToken);
        audit.Write(new AuditEntry("c", "ok"));

        await UntilAsync(() => Count(Path) == 1);
        Assert.Equal((1, 1), (Count(Path + ".1"), Count(Path + ".2")));
    }

    [Fact]
    public async Task File_ThatIsFull_IsSetAside_AndOnlySoManyAreKept()
    {
        await using (var audit = New(c => c with { MaxSize = 64 * 1024, Keep = 2 }))
        {
            for (var i = 0; i < 2000; i++)
            {
                audit.Write(new AuditEntry("a", "ok") { Reason = $"{i} {new string('x', 200)}" });
                if (i % 100 == 99)
                {
                    await UntilAsync(() => Written(audit));
                    _clock.Advance(TimeSpan.FromSeconds(1));
                }
            }
        }

        var aside = Directory.GetFiles(System.IO.Path.GetDirectoryName(Path)!).Where(file => file != Path).ToList();
        Assert.Equal(2, aside.Count);
        Assert.All(aside, file => Assert.InRange(new FileInfo(file).Length, 1, 64 * 1024));
        Assert.Contains("1999 xxx", await File.ReadAllTextAsync(Path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_CannotBeWrittenForAWhile_LinesWait_AndWhatFindsNoRoomIsCountedAndSaid()
    {
        Directory.CreateDirectory(Path);
        await using (var audit = New())
        {
            audit.Write(new AuditEntry("first", "ok"));
            await UntilAsync(() => _log.Lines.Any(line => line.StartsWith("Error AuditFailed:", StringComparison.Ordinal)));
            for (var i = 0; i < AuditQueue.Room + 7; i++)
            {
                audit.Write(new AuditEntry("more", "ok"));
            }

            Directory.Delete(Path);
            await UntilAsync(
                () =>
                {
                    _clock.Advance(TimeSpan.FromSeconds(1));
                    return Count(Path) == 1 + AuditQueue.Room + 1;
                });
        }

        Assert.Single(_log.Lines, line => line.StartsWith("Error AuditLost:", StringComparison.Ordinal));
        var lines = await File.ReadAllLinesAsync(Path, TestContext.Current.CancellationToken);
        Assert.StartsWith("{\"time\":", lines[0], StringComparison.Ordinal);
        Assert.Contains("\"first\"", lines[0], StringComparison.Ordinal);
        Assert.Single(lines, line => line.Contains("\"event\":\"lost\"", StringComparison.Ordinal) && line.Contains("7 lines found no room", StringComparison.Ordinal));
        Assert.Contains(_log.Lines, line => line.StartsWith("Information AuditWorks:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task File_ThatCannotSeek_TakesLines()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Pipes with names are of Unix, and opened both ways by Linux.");
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        using (var making = System.Diagnostics.Process.Start("mkfifo", Path))
        {
            await making.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        await using var pipe = new FileStream(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(pipe);
        await using var audit = New();
        foreach (var what in new[] { "a", "b" })
        {
            audit.Write(new AuditEntry(what, "ok"));
            var line = reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask();
            await UntilAsync(() => line.IsCompleted);
            Assert.Equal(what, (string)JsonNode.Parse((await line)!)!["event"]!);
        }
    }

    [Fact]
    public async Task Logger_Throws_LinesAreWrittenToTheFileOnceAndOn()
    {
        await using (var audit = new AuditLog(
            new ConfigStore(new MooringConfig { Audit = new AuditConfig { File = Path, Log = true } }, ""), _clock, LoggerFactory.Create(logging => logging.AddProvider(new ThrowingProvider()))))
        {
            audit.Write(new AuditEntry("a", "ok"));
            await UntilAsync(() => Count(Path) == 1);
            audit.Write(new AuditEntry("b", "ok"));
            await UntilAsync(() => Count(Path) == 2);
        }

        Assert.Equal(2, Count(Path));
    }

    [Fact]
    public async Task Lines_ThatAreLong_WaitUpToSoManyBytes()
    {
        Directory.CreateDirectory(Path);
        var arguments = System.Text.Encoding.UTF8.GetBytes($"\"{new string('x', 1024 * 1024)}\"");
        await using (var audit = New())
        {
            for (var i = 0; i < 40; i++)
            {
                audit.Write(new AuditEntry("a", "ok") { Arguments = arguments });
            }

            Directory.Delete(Path);
            await UntilAsync(
                () =>
                {
                    _clock.Advance(TimeSpan.FromSeconds(1));
                    return File.Exists(Path) && audit.Waiting == 0;
                });
        }

        // After it stopped, which does not end while the disk takes nothing and the clock stands.
        Assert.Single(_log.Lines, line => line.StartsWith("Error AuditLost:", StringComparison.Ordinal));
        var lines = await File.ReadAllLinesAsync(Path, TestContext.Current.CancellationToken);
        Assert.Equal(AuditQueue.RoomBytes / 1024 / 1024 - 1, lines.Count(line => line.Length > 1024 * 1024));
        Assert.Single(lines, line => line.Contains("9 lines found no room", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Line_LongerThanAllThatMayWait_IsWrittenWhereNothingElseWaits()
    {
        await using (var audit = New(c => c with { MaxSize = 1024L * 1024 * 1024 }))
        {
            audit.Write(new AuditEntry("a", "ok") { Arguments = System.Text.Encoding.UTF8.GetBytes($"\"{new string('x', AuditQueue.RoomBytes)}\"") });
        }

        Assert.Equal(1, Count(Path));
    }

    [Fact]
    public async Task File_ThatCannotBeSetAside_GrowsAndIsSaidOnce_AndIsTriedAgain()
    {
        // With the time in it the name is too long.
        var path = System.IO.Path.Combine(_folder, new string('n', 245) + ".jsonl");
        await using (var audit = New(c => c with { File = path, MaxSize = 64 * 1024 }))
        {
            for (var i = 0; i < 3000; i++)
            {
                audit.Write(new AuditEntry("a", "ok") { Reason = new string('x', 200) });
                if (i % 500 == 499)
                {
                    await UntilAsync(() => Written(audit));
                    _clock.Advance(TimeSpan.FromSeconds(50));
                }
            }
        }

        Assert.Equal(3000, Count(path));
        Assert.Single(_log.Lines, line => line.StartsWith("Error AuditNotSetAside:", StringComparison.Ordinal));
        Assert.DoesNotContain(_log.Lines, line => line.StartsWith("Error AuditFailed:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Text_ThatIsNoText_OrVeryLong_IsWrittenAllTheSame()
    {
        await using (var audit = New())
        {
            audit.Write(new AuditEntry("a", "ok") { Client = "half \ud800 \n\u0001", Name = new string('n', 255) + "😀" });
        }

        var line = JsonNode.Parse(Assert.Single(await File.ReadAllLinesAsync(Path, TestContext.Current.CancellationToken)))!;
        Assert.Equal("half \ufffd \n\u0001", (string)line["client"]!);
        Assert.StartsWith("nnn", (string)line["name"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lines_OneAfterAnother_AreWrittenTogether_AfterARest_AndAtOnceWhenItStops()
    {
        await using (var audit = New())
        {
            audit.Write(new AuditEntry("first", "ok"));
            await WaitForAsync(() => Count(Path) == 1);
            await _clock.WaitForTimersAsync(1);
            audit.Write(new AuditEntry("second", "ok"));
            audit.Write(new AuditEntry("third", "ok"));

            _clock.Advance(AuditQueue.Rest - TimeSpan.FromMilliseconds(1));
            Assert.Equal((2, 1), (audit.Waiting, Count(Path)));
            _clock.Advance(TimeSpan.FromMilliseconds(1));
            await WaitForAsync(() => Count(Path) == 3);
            await _clock.WaitForTimersAsync(1);
            audit.Write(new AuditEntry("fourth", "ok"));
            Assert.Equal(3, Count(Path));
        }

        Assert.Equal(4, Count(Path));
    }

    [Fact]
    public async Task Lines_ThatAreMany_AreWrittenWithoutARest()
    {
        await using var audit = New();
        audit.Write(new AuditEntry("first", "ok"));
        await WaitForAsync(() => Count(Path) == 1);
        await _clock.WaitForTimersAsync(1);
        for (var i = 0; i < AuditQueue.Room / 2; i++)
        {
            audit.Write(new AuditEntry("more", "ok"));
        }

        await WaitForAsync(() => Count(Path) > 1);
    }

    [Fact]
    public async Task Writers_OfOneFile_TearNoLineAndWriteOverNone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only there a file is opened so that the system adds at its end.");
        const int Writers = 4, Rounds = 300, Lines = 20;
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        using var together = new Barrier(Writers);

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Factory.StartNew(
            () =>
            {
                // Each has opened it for itself, so writers of one process meet as those of several do.
                using var file = new AuditFile(Path);
                together.SignalAndWait(TestContext.Current.CancellationToken);
                for (var round = 0; round < Rounds; round++)
                {
                    var chunk = string.Concat(Enumerable.Range(0, Lines).Select(line => $"{{\"id\":\"{writer}-{round}-{line}\",\"text\":\"{new string((char)('a' + writer), 100 * writer)}\"}}\n"));
                    file.Append(System.Text.Encoding.UTF8.GetBytes(chunk), long.MaxValue, 1, FakeClock.Start);
                    if (writer % 2 == 0)
                    {
                        // As a process does that adds a line and ends.
                        file.Dispose();
                    }
                }
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        var ids = (await File.ReadAllLinesAsync(Path, TestContext.Current.CancellationToken)).Select(line => (string)JsonNode.Parse(line)!["id"]!).ToHashSet();
        Assert.Equal(Writers * Rounds * Lines, ids.Count);
    }

    private static int Count(string path)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Count(c => c == '\n');
    }

    private sealed class ThrowingProvider : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new InvalidOperationException("full");
    }

    private static bool Written(AuditLog audit) => audit.Waiting == 0;

    /// <summary>Moves the clock on the way: what writes rests after it wrote.</summary>
    private Task UntilAsync(Func<bool> isSo) => WaitForAsync(
        () =>
        {
            _clock.Advance(AuditQueue.Rest);
            return isSo();
        });

    private static async Task WaitForAsync(Func<bool> isSo)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, "Waited in vain.");
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    private AuditLog New(Func<AuditConfig, AuditConfig>? audit = null) => new(
        new ConfigStore(new MooringConfig { Audit = (audit ?? (same => same))(new AuditConfig { File = Path }) }, ""), _clock, LoggerFactory.Create(logging => logging.AddProvider(_log)));
}
