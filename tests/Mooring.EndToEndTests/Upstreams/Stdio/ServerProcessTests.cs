using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Configuration;
using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.EndToEndTests.Upstreams.Stdio;

/// <summary>Real processes, really stopped and killed.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ServerProcessTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ProcessGuard _guard = new(TimeProvider.System, NullLogger<ProcessGuard>.Instance);
    private readonly LogLines _log = new();

    public ValueTask InitializeAsync()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _guard.DisposeAsync();
        Assert.Empty(ProcessTable.WithEnvironment(Mark));
    }

    private string Mark => $"{ProcessGuard.MarkVariable}={_guard.MarkOf(0).Split('.')[0]}";

    [Fact]
    public async Task Server_InputClosed_EndsByItself_WithZero()
    {
        await using var server = Start("cat >/dev/null");

        await server.StopAsync(Patience);

        Assert.Equal(new ProcessExit(0), await server.Exited);
        Assert.Null((await server.Exited).Signal);
        Assert.DoesNotContain(_log.Lines, line => line.Contains("SIGTERM", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Streams_AreRaw_BothWays()
    {
        await using var server = Start("exec cat");
        byte[] sent = [0xEF, 0xBB, 0xBF, 0, 1, 2, (byte)'\r', (byte)'\n', 0xFF, 0xFE, .. Encoding.UTF8.GetBytes(new string('ü', 100_000))];

        var writing = server.Input.WriteAsync(sent, TestContext.Current.CancellationToken).AsTask();
        var received = new byte[sent.Length];
        await server.Output.ReadExactlyAsync(received, TestContext.Current.CancellationToken);
        await writing;
        await server.StopAsync(Patience);

        Assert.Equal(sent, received);
        Assert.Equal(0, await server.Output.ReadAsync(new byte[1], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Stop_WhileAWriteWaits_ServerStillSeesTheEndOfItsInput()
    {
        await using var server = Start("sleep 0.3; cat >/dev/null; exit 4");
        var writing = server.Input.WriteAsync(new byte[4 << 20], TestContext.Current.CancellationToken).AsTask();

        await server.StopAsync(Patience);

        Assert.Equal(4, (await server.Exited).Code);
        Assert.NotNull(await Record.ExceptionAsync(() => writing));
    }

    [Fact]
    public async Task Input_ServerIsGone_WriteFails()
    {
        await using var server = Start("exit 0");
        await server.Exited;

        await Assert.ThrowsAsync<IOException>(async () => await server.Input.WriteAsync(new byte[10], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Output_ReadInVain_IsCancelled()
    {
        await using var server = Start("exec sleep 1000");
        using var cancel = new CancellationTokenSource();
        var read = server.Output.ReadAsync(new byte[1], cancel.Token).AsTask();

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
    }

    [Fact]
    public async Task Server_LeadsItsOwnSession_WithTheIdWeKnow()
    {
        await using var server = Start("echo up; exec sleep 1000");
        await server.Output.ReadExactlyAsync(new byte[3], TestContext.Current.CancellationToken);

        await ProcessTable.UntilAsync(() => ProcessTable.NameOf(server.Id) == "sleep", () => ProcessTable.NameOf(server.Id));
        Assert.Equal(server.Id, ProcessTable.GroupOf(server.Id));
        Assert.Equal(server.Id, ProcessTable.SessionOf(server.Id));
    }

    [Fact]
    public async Task Servers_HoldNoPipeOfEachOther_NorTheGuards()
    {
        await using var first = Start("exec cat");
        await using var second = Start("echo up; exec sleep 1000");
        await second.Output.ReadExactlyAsync(new byte[3], TestContext.Current.CancellationToken);

        // Were one of these open in the second server, its end would never be seen.
        var foreign = new[] { Target(first.Id, 0), Target(first.Id, 1), Target(_guard.HelperId!.Value, 0) };
        var held = Directory.EnumerateFileSystemEntries($"/proc/{second.Id}/fd").Select(file => new FileInfo(file).LinkTarget);

        Assert.All(foreign, pipe => Assert.StartsWith("pipe:", pipe));
        Assert.Empty(held.Intersect(foreign));

        static string? Target(int process, int descriptor) => new FileInfo($"/proc/{process}/fd/{descriptor}").LinkTarget;
    }

    [Theory]
    [InlineData("exit 3", 3, null)]
    [InlineData("kill -s KILL $$", 137, 9)]
    [InlineData("kill -s SEGV $$", 139, 11)]
    public async Task Server_EndsByItself_CodeOrSignalIsTold(string script, int code, int? signal)
    {
        await using var server = Start(script);

        var exit = await server.Exited.WaitAsync(Patience, TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.Equal((code, signal), (exit.Code, exit.Signal));
    }

    [Fact]
    public async Task Stop_ServerMindsOnlySigterm_EndsInItsOwnWay()
    {
        await using var server = Start("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
        await server.Output.ReadExactlyAsync(new byte[3], TestContext.Current.CancellationToken);

        // The first wait passes in full, the second ends with the server.
        await server.StopAsync(TimeSpan.FromSeconds(2));

        Assert.Equal(7, (await server.Exited).Code);
        Assert.Contains(_log.Lines, line => line.Contains("SIGTERM", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stop_ServerDeafToSigterm_IsKilledWithItsChildren()
    {
        await using var server = Start("trap '' TERM; sleep 1000 & echo up; sleep 1000; true");
        await server.Output.ReadExactlyAsync(new byte[3], TestContext.Current.CancellationToken);

        await server.StopAsync(TimeSpan.FromMilliseconds(200));

        Assert.Equal(9, (await server.Exited).Signal);
        await ProcessTable.UntilGoneAsync(Mark);
    }

    [Fact]
    public async Task Server_EndsAndLeavesOthersBehind_TheyAreEnded()
    {
        await using var server = Start("sleep 1000 & (trap '' TERM; exec sleep 1000) & setsid sleep 1000 & exit 5");

        Assert.Equal(5, (await server.Exited).Code);

        await ProcessTable.UntilGoneAsync(Mark);
    }

    [Theory]
    [InlineData("exit 5", 5)]
    [InlineData("trap '' TERM; sleep 1000; true", 137)]
    public async Task Server_GroupMemberHidesItsMark_IsEndedWithTheGroup(string script, int code)
    {
        await using var server = Start($"env -i sleep 1000 & echo $!; {script}");
        using var reader = new StreamReader(server.Output, leaveOpen: true);
        var member = int.Parse((await reader.ReadLineAsync(TestContext.Current.CancellationToken))!, CultureInfo.InvariantCulture);

        await server.StopAsync(TimeSpan.FromMilliseconds(300));

        Assert.Equal(code, (await server.Exited).Code);
        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(member), () => $"{member} is still there");
    }

    [Fact]
    public async Task OwnSession_ByPerlWhereThereIsNoSetsid_KeepsTheProcessId()
    {
        var perl = CommandLookup.FindSystemProgram("perl");
        Assert.SkipWhen(perl is null, "no perl here");
        string[] line = [.. OwnSession.PrefixOf(setsid: null, perl), CommandLookup.FindSystemProgram("sleep")!, "1000"];
        using var process = Process.Start(new ProcessStartInfo(line[0], line.Skip(1)))!;

        await ProcessTable.UntilAsync(() => ProcessTable.NameOf(process.Id) == "sleep", () => ProcessTable.NameOf(process.Id));

        Assert.Equal(process.Id, ProcessTable.SessionOf(process.Id));
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Dispose_RightAfterStart_AgainAndAgain_LeavesNothing()
    {
        for (var i = 0; i < 30; i++)
        {
            var server = Start("setsid sleep 1000 & sleep 1000; true");
            await server.DisposeAsync();
            await server.DisposeAsync();
            Assert.Equal(9, (await server.Exited).Signal);
        }

        Assert.Empty(ProcessTable.WithEnvironment(Mark));
    }

    [Fact]
    public async Task ManyServers_DisposedTogether_AreAllGone()
    {
        var servers = Enumerable.Range(0, 30).Select(_ => Start("setsid sleep 1000 & exec cat >/dev/null")).ToList();

        await Task.WhenAll(servers.Select(server => server.DisposeAsync().AsTask()));

        Assert.Empty(ProcessTable.WithEnvironment(Mark));
    }

    [Fact]
    public async Task ErrorOutput_Flood_IsBounded_AndSaysHowMuchWasLeftOut()
    {
        await using var server = Start("yes noise 2>/dev/null | head -n 50000 >&2");

        await server.Exited;
        await server.DisposeAsync();

        var lines = _log.Lines.Count(line => line == "test: noise");
        var leftOut = _log.Lines.Where(line => line.Contains("left out", StringComparison.Ordinal))
            .Sum(line => long.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));
        Assert.Equal(50_000, lines + leftOut);
        Assert.InRange(lines, LineLimit.LinesPerWindow, LineLimit.LinesPerWindow * 5);
    }

    [Fact]
    public async Task Start_VariablesAndDirectoryOfTheServer_AreItsOwn()
    {
        var folder = Directory.CreateTempSubdirectory("mooring");
        await using var server = Start(new ServerConfig
        {
            Name = "test",
            Command = "sh",
            Args = ["-c", "printf '%s|' \"$PWD\" \"$HOME\" \"$1\"", "sh", "a b\"c'$d"],
            Env = new Dictionary<string, string>(StringComparer.Ordinal) { ["HOME"] = "/a home" },
            WorkingDirectory = folder.FullName,
        });

        using var reader = new StreamReader(server.Output);
        Assert.Equal($"{folder.FullName}|/a home|a b\"c'$d|", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
        folder.Delete();
    }

    [Fact]
    public async Task Start_PathOfTheServer_IsWhereItsCommandIsLookedFor()
    {
        var folder = Directory.CreateTempSubdirectory("mooring");
        var file = Path.Combine(folder.FullName, "only-here");
        await File.WriteAllTextAsync(file, "#!/bin/sh\nexit 42\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var env = new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = $"/nowhere:{folder.FullName}" };

        await using var server = Start(new ServerConfig { Name = "test", Command = "only-here", Env = env });

        Assert.Equal(42, (await server.Exited).Code);
        folder.Delete(recursive: true);
    }

    [Fact]
    public void Start_TooLongArguments_IsRefusedInWords()
    {
        var start = TryStart(new ServerConfig { Name = "test", Command = "cat", Args = [new string('x', 4 << 20)] });

        Assert.Equal(StartFailure.SystemRefused, start.Failure);
        Assert.Contains("'test' cannot be started", start.Message, StringComparison.Ordinal);
        Assert.Contains("too long", start.Message, StringComparison.Ordinal);
    }

    private ServerProcess Start(string script) => Start(new ServerConfig { Name = "test", Command = "sh", Args = ["-c", script] });

    private ServerProcess Start(ServerConfig config)
    {
        var start = TryStart(config);
        Assert.True(start.Succeeded, start.Message);
        return start.Process;
    }

    private ServerStart TryStart(ServerConfig config) => ServerProcess.Start(config, _guard, TimeProvider.System, _log);

    private sealed class LogLines : ILogger<ServerProcess>
    {
        private readonly Lock _lock = new();
        private readonly List<string> _lines = [];

        public List<string> Lines
        {
            get
            {
                lock (_lock)
                {
                    return [.. _lines];
                }
            }
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_lock)
            {
                _lines.Add(formatter(state, exception));
            }
        }
    }
}
