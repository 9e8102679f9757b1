using Microsoft.Extensions.Logging;
using Mooring.Host.Lifetime;
using Mooring.Telemetry;
using Xunit;

namespace Mooring.Tests.Telemetry;

/// <summary>What goes on by itself is not lost without a word where it fails.</summary>
public sealed class UnawaitedTasksTests
{
    private readonly FixtureLog _log = new();

    [Fact]
    public async Task Work_Fails_IsLoggedAsItIsWrittenInTheCode()
    {
        var work = new TaskCompletionSource();
        Task DoAsync(string what) => what.Length > 0 ? work.Task : Task.CompletedTask;

        DoAsync("something secret").Unawaited(_log);
        Assert.Empty(_log.Lines);
        work.SetException(new InvalidOperationException("broken"));
        await Limit.Of(LoggedAsync(), "the failure");

        var line = Assert.Single(_log.Lines);
        Assert.StartsWith("Error UnawaitedWorkFailed: Work that nobody waits for failed: DoAsync System.InvalidOperationException: broken", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Work_WithAName_IsLoggedUnderThat()
    {
        Task.FromException(new InvalidOperationException("broken")).Unawaited(_log, "counting sheep");
        ValueTask.FromException<int>(new InvalidOperationException("broken")).Unawaited(_log, "counting wolves");

        await Limit.Of(LoggedAsync(2), "the failures");
        Assert.Contains("counting sheep", _log.Lines[0], StringComparison.Ordinal);
        Assert.Contains("counting wolves", _log.Lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Work_DoneOrCancelledOrClosed_IsNoError()
    {
        Task.CompletedTask.Unawaited(_log);
        ValueTask.FromResult(1).Unawaited(_log);
        Task.FromCanceled(new CancellationToken(canceled: true)).Unawaited(_log);
        Task.FromException(new ObjectDisposedException("the store")).Unawaited(_log, "saving");

        Assert.StartsWith("Debug UnawaitedWorkClosed", Assert.Single(_log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Task_NobodyEverLooksAt_IsLoggedByTheProgramOnceItIsCollected()
    {
        using var loggers = new LoggerFactory([_log]);
        var failures = new UnobservedFailures(loggers.CreateLogger<UnobservedFailures>());
        await failures.StartAsync(CancellationToken.None);
        try
        {
            Drop("dropped on the floor");
            await Limit.Of(CollectedAsync("dropped on the floor"), "the failure");
        }
        finally
        {
            await failures.StopAsync(CancellationToken.None);
        }

        Assert.Contains(_log.Lines, line => line.StartsWith("Error UnobservedFailure:", StringComparison.Ordinal));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void Drop(string why) => _ = Task.FromException(new InvalidOperationException(why));

    private async Task CollectedAsync(string why)
    {
        while (!_log.Lines.Any(line => line.Contains(why, StringComparison.Ordinal)))
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Yield();
        }
    }

    private async Task LoggedAsync(int lines = 1)
    {
        while (_log.Lines.Count < lines)
        {
            await Task.Yield();
        }
    }
}
