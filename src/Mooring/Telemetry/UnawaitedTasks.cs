using System.Runtime.CompilerServices;

namespace Mooring.Telemetry;

/// <summary>Work that goes on by itself: nobody awaits its task, so nobody would hear what it failed with.</summary>
/// <remarks>
/// What may go wrong is caught within. This is for the rest, bugs of ours: a task that nobody awaits says nothing, and what it was to do is missing without a trace.
/// Where somebody waits for what it does, an answer above all, that is seen to within as well.
/// </remarks>
internal static partial class UnawaitedTasks
{
    /// <summary>Lets work go on by itself, and logs what it fails with. That it was cancelled is no failure.</summary>
    /// <param name="task">The work, begun already.</param>
    /// <param name="logger">Of whoever began it.</param>
    /// <param name="work">What the log calls it; as it is written in the code where nothing is given.</param>
    public static void Unawaited(this Task task, ILogger logger, [CallerArgumentExpression(nameof(task))] string work = "")
    {
        if (!task.IsCompletedSuccessfully)
        {
            _ = ObserveAsync(task, logger, work);
        }
    }

    /// <inheritdoc cref="Unawaited(Task, ILogger, string)"/>
    public static void Unawaited<TResult>(this ValueTask<TResult> task, ILogger logger, [CallerArgumentExpression(nameof(task))] string work = "") =>
        task.AsTask().Unawaited(logger, work);

    private static async Task ObserveAsync(Task task, ILogger logger, string work)
    {
        try
        {
            await task.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Whoever did that knows.
        }
        catch (ObjectDisposedException e)
        {
            // What it works with was closed under it, as the store is when the gateway stops.
            Log.Closed(logger, e, NameOf(work));
        }
        catch (Exception e)
        {
            Log.Failed(logger, e, NameOf(work));
        }
    }

    /// <summary>Of a call as it is written in the code, without what it was given.</summary>
    private static string NameOf(string work) => work.IndexOf('(', StringComparison.Ordinal) is > 0 and var end ? work[..end] : work;

    private static partial class Log
    {
        [LoggerMessage(61, LogLevel.Debug, "Work that nobody waits for ended with what it works with: {Work}", EventName = "UnawaitedWorkClosed")]
        public static partial void Closed(ILogger logger, Exception exception, string work);

        [LoggerMessage(60, LogLevel.Error, "Work that nobody waits for failed: {Work}", EventName = "UnawaitedWorkFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string work);
    }
}
