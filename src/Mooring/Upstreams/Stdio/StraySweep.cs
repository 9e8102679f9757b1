using System.Globalization;
using Mooring.Telemetry;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Ends processes that servers left behind outside their group (a browser that made a session of its own, a daemon).
/// Owned by <see cref="ProcessGuard"/>. One look through /proc at a time serves all servers that ended before it began,
/// so a thousand sessions that end together cost a few looks, not a thousand.
/// </summary>
internal sealed partial class StraySweep(string variablePrefix, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // Looks between SIGTERM and SIGKILL, about a second; and with SIGKILL, for what may start others while being killed.
    private const int PatientLooks = 10;
    private const int Looks = 30;

    private readonly Lock _lock = new();
    private Batch? _next;
    private bool _running;

    /// <summary>Ends all processes that carry this server's number. Never fails.</summary>
    public Task SweepAsync(long number)
    {
        if (!OperatingSystem.IsLinux())
        {
            return Task.CompletedTask;
        }

        lock (_lock)
        {
            _next ??= new Batch();
            _next.Numbers.Add(number.ToString(CultureInfo.InvariantCulture));
            var done = _next.Done.Task;
            if (!_running)
            {
                _running = true;
                Task.Run(RunAsync).Unawaited(logger);
            }

            return done;
        }
    }

    private async Task RunAsync()
    {
        while (Take() is { } batch)
        {
            try
            {
                await EndAsync(batch.Numbers).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // /proc cannot be listed: nothing to be found there.
            }
            catch (Exception e)
            {
                // A bug of ours: the sweeps after it must go on all the same.
                Log.Failed(logger, e);
            }
            finally
            {
                batch.Done.SetResult();
            }
        }
    }

    private Batch? Take()
    {
        lock (_lock)
        {
            var batch = _next;
            _next = null;
            _running = batch is not null;
            return batch;
        }
    }

    private async Task EndAsync(HashSet<string> numbers)
    {
        for (var look = 0; look < Looks; look++)
        {
            var strays = MarkedProcesses.Find(variablePrefix).FindAll(stray => numbers.Contains(stray.Remainder));
            if (strays.Count == 0)
            {
                return;
            }

            // Found this instant by the mark, so the id is still theirs.
            foreach (var (id, _) in look is 0 or >= PatientLooks ? strays : [])
            {
                Posix.Signal(id, look == 0 ? Posix.SigTerm : Posix.SigKill);
            }

            await Task.Delay(Pause, time).ConfigureAwait(false);
        }
    }

    private sealed class Batch
    {
        public HashSet<string> Numbers { get; } = new(StringComparer.Ordinal);

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private static partial class Log
    {
        [LoggerMessage(1365, LogLevel.Error, "What servers left behind outside their process group was not looked for.", EventName = "StraySweepFailed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
