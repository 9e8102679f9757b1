namespace Mooring.Host.Lifetime;

/// <summary>
/// Logs what a task failed with that nobody ever looked at; the process says nothing of it by itself. The runtime notices when it collects the task, so this comes
/// late: it is for what the code should have seen to. An application with the gateway in it decides that for its process itself.
/// </summary>
internal sealed partial class UnobservedFailures(ILogger<UnobservedFailures> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        TaskScheduler.UnobservedTaskException -= OnUnobserved;
        return Task.CompletedTask;
    }

    private void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs failure) => Log.Unobserved(logger, failure.Exception);

    private static partial class Log
    {
        [LoggerMessage(18, LogLevel.Error, "Something failed in the background and nobody looked.", EventName = "UnobservedFailure")]
        public static partial void Unobserved(ILogger logger, Exception exception);
    }
}
