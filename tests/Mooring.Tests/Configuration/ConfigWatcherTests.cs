using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class ConfigWatcherTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();
    private readonly LogLines _log = new();
    private readonly FakeClock _clock = new();

    public void Dispose() => _fixture.Dispose();

    private static string Config(string delay, string more = "") =>
        $$"""{ "drain": { "delay": "{{delay}}" }, "connectors": {} {{more}} }""";

    private (ConfigStore Store, ConfigWatcher Watcher) Start()
    {
        var first = _fixture.Load();
        Assert.Empty(first.Errors);
        var store = new ConfigStore(first.Config!, first.DataDirectory);
        return (store, new ConfigWatcher(store, first, Load, _clock, _log));
    }

    private ConfigResult Load(string? inForce) =>
        ConfigLoader.Load(inForce, _fixture.Environment, new() { WorkingDirectory = _fixture.Folder });

    /// <summary>Looks often enough for any change that lies there to be in force.</summary>
    private static bool LookUntilSettled(ConfigWatcher watcher) =>
        Enumerable.Range(0, 4).Select(_ => watcher.Look()).ToArray().Contains(true);

    [Fact]
    public void Look_FileChanged_PublishesOldAndNewOnce()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        var seen = new List<(TimeSpan Old, TimeSpan New)>();
        using var subscription = store.OnChange((old, next) => seen.Add((old.Drain.Delay, next.Drain.Delay)));
        Assert.False(LookUntilSettled(watcher));

        _fixture.Write("mooring.json", Config("2s"));

        Assert.True(LookUntilSettled(watcher));
        Assert.Equal([(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2))], seen);
        Assert.Equal(TimeSpan.FromSeconds(2), store.Current.Drain.Delay);
        Assert.Contains("reloaded; changed: drain.delay.", Assert.Single(_log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public void Look_FileStillBeingWritten_IsNotReadHalf()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (_, watcher) = Start();
        LookUntilSettled(watcher);

        _fixture.Write("mooring.json", Config("2s")[..10]);
        watcher.Look();
        _fixture.Write("mooring.json", Config("2s"));

        Assert.True(LookUntilSettled(watcher));
        Assert.DoesNotContain(_log.Lines, l => l.Contains("not valid JSON", StringComparison.Ordinal));
    }

    [Fact]
    public void Look_DirectoryLinkSwappedAsKubernetesDoes_IsNoticed()
    {
        // mooring.json → ..data/mooring.json, ..data → ..1: only ..data is replaced.
        _fixture.Write("..1/mooring.json", Config("1s"));
        _fixture.Write("..2/mooring.json", Config("2s"));
        Directory.CreateSymbolicLink(Path.Combine(_fixture.Folder, "..data"), "..1");
        File.CreateSymbolicLink(_fixture.ConfigFile, "..data/mooring.json");
        var (store, watcher) = Start();
        LookUntilSettled(watcher);

        Directory.Delete(Path.Combine(_fixture.Folder, "..data"));
        Directory.CreateSymbolicLink(Path.Combine(_fixture.Folder, "..data"), "..2");

        Assert.True(LookUntilSettled(watcher));
        Assert.Equal(TimeSpan.FromSeconds(2), store.Current.Drain.Delay);
    }

    [Fact]
    public void Look_SecretFileChanged_IsNoticed()
    {
        _fixture.Write("level", "debug\n");
        _fixture.Write("mooring.json", Config("1s", """, "logLevel": "${file:level}" """));
        var (store, watcher) = Start();
        LookUntilSettled(watcher);

        _fixture.Write("level", "error\n");

        Assert.True(LookUntilSettled(watcher));
        Assert.Equal("error", store.Current.LogLevel);
    }

    [Fact]
    public void Look_NewFileHasErrors_KeepsTheOldOneAndLogsEachErrorOnce()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        LookUntilSettled(watcher);
        var before = store.Current;

        _fixture.Write("mooring.json", Config("soon", """, "wibble": 1 """));
        Assert.False(LookUntilSettled(watcher));
        Assert.False(LookUntilSettled(watcher));

        Assert.Same(before, store.Current);
        Assert.Single(_log.Lines, l => l.Contains("drain.delay (line 1) must be", StringComparison.Ordinal));
        Assert.Single(_log.Lines, l => l.Contains("wibble (line 1) is not a setting", StringComparison.Ordinal));
        Assert.Single(_log.Lines, l => l.Contains("the one in force stays", StringComparison.Ordinal));

        _fixture.Write("mooring.json", Config("3s"));
        Assert.True(LookUntilSettled(watcher));
        Assert.Equal(TimeSpan.FromSeconds(3), store.Current.Drain.Delay);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Look_FileGoneForAWhile_KeepsTheOldOneAndTakesTheNextOne(bool isNamed)
    {
        const string closed = """, "policies": { "default": "deny" } """;
        _fixture.Write("mooring.json", Config("1s", closed));
        var first = Load(isNamed ? _fixture.ConfigFile : null);
        var store = new ConfigStore(first.Config!, first.DataDirectory);
        var watcher = new ConfigWatcher(store, first, inForce => Load(inForce ?? (isNamed ? _fixture.ConfigFile : null)), _clock, _log);
        LookUntilSettled(watcher);
        var before = store.Current;

        for (var i = 0; i < 2; i++)
        {
            File.Delete(_fixture.ConfigFile);
            Assert.False(LookUntilSettled(watcher));
            Assert.False(LookUntilSettled(watcher));
            Assert.Same(before, store.Current);
            Assert.Single(_log.Lines, l => l.Contains("mooring.json does not exist.", StringComparison.Ordinal));
            Assert.Single(_log.Lines, l => l.Contains("the one in force stays", StringComparison.Ordinal));
            _log.Lines.Clear();

            _fixture.Write("mooring.json", Config($"{i + 2}s", closed));
            Assert.True(LookUntilSettled(watcher));
            Assert.Equal(TimeSpan.FromSeconds(i + 2), store.Current.Drain.Delay);
            before = store.Current;
            _log.Lines.Clear();
        }
    }

    [Fact]
    public void Look_FirstFileComesAfterTheStart_IsTaken_AndHasToBeThereFromThenOn()
    {
        var (store, watcher) = Start();
        Assert.Null(Load(inForce: null).File);
        Assert.False(LookUntilSettled(watcher));
        Assert.Empty(_log.Lines);

        _fixture.Write("mooring.json", "{ \"drain\": ");
        Assert.False(LookUntilSettled(watcher));
        File.Delete(_fixture.ConfigFile);
        Assert.False(LookUntilSettled(watcher));
        Assert.DoesNotContain(_log.Lines, l => l.Contains("does not exist", StringComparison.Ordinal));

        _fixture.Write("mooring.json", Config("2s"));
        Assert.True(LookUntilSettled(watcher));
        Assert.Equal(TimeSpan.FromSeconds(2), store.Current.Drain.Delay);

        File.Delete(_fixture.ConfigFile);
        Assert.False(LookUntilSettled(watcher));
        Assert.Equal(TimeSpan.FromSeconds(2), store.Current.Drain.Delay);
        Assert.Contains(_log.Lines, l => l.Contains("mooring.json does not exist.", StringComparison.Ordinal));
    }

    [Fact]
    public void Look_SettingThatNeedsARestart_IsSaidAndNotShownAsInForce()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        LookUntilSettled(watcher);

        _fixture.Write("mooring.json", Config("2s", """, "listen": ["http://127.0.0.1:4000"], "store": { "kind": "memory" } """));
        Assert.True(LookUntilSettled(watcher));

        Assert.Equal(["http://127.0.0.1:3000"], store.Current.Listen);
        Assert.Equal(StoreKind.Sqlite, store.Current.Store.Kind);
        Assert.Equal(TimeSpan.FromSeconds(2), store.Current.Drain.Delay);
        Assert.Equal(
            ["listen", "store.kind"],
            _log.Lines.Where(l => l.Contains("next start only", StringComparison.Ordinal)).Select(l => l.Split(' ')[1]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Look_OnlyCommentsChanged_TellsNobody()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        using var subscription = store.OnChange((_, _) => Assert.Fail("Nothing changed."));
        LookUntilSettled(watcher);

        _fixture.Write("mooring.json", "// hello\n" + Config("1s"));

        Assert.False(LookUntilSettled(watcher));
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public void Look_ServerAddedChangedRemoved_IsAChangeOfTheServers()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        LookUntilSettled(watcher);
        foreach (var servers in new[] { """{ "a": { "command": "x", "args": ["1"] } }""", """{ "a": { "command": "x", "args": ["2"] } }""", "{}" })
        {
            _fixture.Write("mooring.json", Config("1s", $", \"mcpServers\": {servers}"));
            Assert.True(LookUntilSettled(watcher));
            Assert.Contains("changed: mcpServers.", _log.Lines[^1], StringComparison.Ordinal);
        }

        Assert.Empty(store.Current.Servers);
    }

    [Fact]
    public void Look_OneCallbackFails_TheOthersAreToldAndTheSnapshotIsInForce()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        LookUntilSettled(watcher);
        var told = 0;
        using var bad = store.OnChange((_, _) => throw new InvalidOperationException("no"));
        using var good = store.OnChange((_, _) => told++);
        store.OnChange((_, _) => told += 100).Dispose();

        _fixture.Write("mooring.json", Config("2s"));

        Assert.True(LookUntilSettled(watcher));
        Assert.Equal((1, TimeSpan.FromSeconds(2)), (told, store.Current.Drain.Delay));
        Assert.Contains(_log.Lines, l => l.StartsWith("A part of the gateway", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_ClockMoves_LooksBySelf()
    {
        _fixture.Write("mooring.json", Config("1s"));
        var (store, watcher) = Start();
        var changed = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var subscription = store.OnChange((_, next) => changed.TrySetResult(next.Drain.Delay));
        await watcher.StartAsync(TestContext.Current.CancellationToken);
        await _clock.WaitForTimersAsync(1);
        _fixture.Write("mooring.json", Config("2s"));

        // Ticks that come while a look is under way fold into one, so a fixed number of them would not do.
        while (!changed.Task.IsCompleted)
        {
            _clock.Advance(ConfigWatcher.Interval);
            await Task.Yield();
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        }

        Assert.Equal(TimeSpan.FromSeconds(2), await changed.Task);
        await watcher.StopAsync(CancellationToken.None);
    }

    private sealed class LogLines : ILogger<ConfigWatcher>
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));
    }
}
