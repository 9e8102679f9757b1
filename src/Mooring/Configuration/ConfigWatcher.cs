using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mooring.Configuration;

/// <summary>
/// Hot reload. Looks at the files every <see cref="Interval"/>, loads them again when their content changed, and puts the new
/// snapshot in force if it has no errors; else the old one stays and each problem is logged once. A file that was in force has to be there from
/// then on, wherever it was found: while it is not, the snapshot made of it stays. Without one, the first to come is taken.
/// </summary>
/// <param name="store">Where the snapshot in force is.</param>
/// <param name="first">The result that is in force.</param>
/// <param name="load">Loads again, with the same options: the file in force where one is given, else what the process was started with.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Hears of changes and problems.</param>
internal sealed partial class ConfigWatcher(
    ConfigStore store, ConfigResult first, Func<string?, ConfigResult> load, TimeProvider time, ILogger<ConfigWatcher> logger) : BackgroundService
{
    /// <summary>A change is in force within two of these. Kubernetes itself takes up to a minute to bring one to the pod.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly ContentWatch _watch = new(first.Files);
    private IReadOnlyList<ConfigProblem> _reported = first.Problems;

    /// <summary>The file that the snapshot in force was made of; null: of none.</summary>
    private string? _file = first.File;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                Look();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    /// <summary>One look at the files; true when a new snapshot is in force.</summary>
    public bool Look()
    {
        if (!_watch.HasChanged())
        {
            return false;
        }

        ConfigResult result;
        try
        {
            result = load(_file);
        }
        catch (Exception e)
        {
            // A bug in the loader must not end the reloads for the rest of the process.
            Log.LoadFailed(logger, e);
            return false;
        }

        // Also after an error: the file that is missing may be one that was not named before.
        _watch.Watch(result.Files);
        Report(result);
        if (result.Config is { } next)
        {
            _file = result.File;
            return Apply(next, result.File);
        }

        Log.KeptOld(logger, result.File);
        return false;
    }

    private void Report(ConfigResult result)
    {
        foreach (var problem in result.Problems.Except(_reported))
        {
            if (problem.Severity == ProblemSeverity.Error)
            {
                Log.Error(logger, problem.Path, problem.Line, problem.Message);
            }
            else
            {
                Log.Warning(logger, problem.Path, problem.Line, problem.Message);
            }
        }

        _reported = result.Problems;
    }

    private bool Apply(MooringConfig next, string? file)
    {
        var changes = new List<SettingChange>();
        next = Settings.Root.Compare(store.Current, next, "", changes);
        foreach (var change in changes.Where(c => c.NeedsRestart))
        {
            Log.NeedsRestart(logger, change.Path);
        }

        var live = changes.Where(c => !c.NeedsRestart).Select(c => c.Path).ToList();
        if (live.Count == 0)
        {
            return false;
        }

        try
        {
            store.Replace(next);
        }
        catch (AggregateException e)
        {
            Log.CallbackFailed(logger, e);
        }

        Log.Reloaded(logger, file, string.Join(", ", live));
        return true;
    }
}
