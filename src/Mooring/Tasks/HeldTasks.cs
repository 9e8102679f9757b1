using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Tasks;

/// <summary>What a call is that becomes a task.</summary>
/// <param name="Principal">Whose it is.</param>
/// <param name="Route">The server of a single-server route; null on the merged one.</param>
/// <param name="Server">Who executes it.</param>
/// <param name="Tool">The server's own name of the tool.</param>
/// <param name="Meta"><c>_meta</c> of the request, raw JSON.</param>
/// <param name="ServerTask">The server's own task behind it, or null.</param>
/// <param name="Place">Up to where its server's answer was heard, or null.</param>
internal sealed record NewTask(Principal Principal, string? Route, string Server, string Tool, byte[] Meta, string? ServerTask, CallCursor? Place = null);

/// <summary>
/// Calls that became tasks (2026-07-28, the tasks extension). Their records are in the store, and any replica answers for them; each is run by one
/// process, its home, and what its call is to be told goes there by letter. Every task ends, in a state that is true: when the home dies, whoever takes
/// over goes on with what the server itself keeps as a task, or an answer that can be heard from where it was left, and ends the others as outcome unknown.
/// </summary>
internal sealed partial class HeldTasks
{
    /// <summary>The client of the task of that id wants it cancelled.</summary>
    private const string CancelLetter = "task-cancel";

    /// <summary>Answers to what the server of the task of that id asked: an object of one for each key.</summary>
    private const string AnswersLetter = "task-answers";

    /// <summary>Errors of its client in place of such answers: likewise.</summary>
    private const string RefusalsLetter = "task-refusals";

    private static readonly TimeSpan SaveAgain = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<string, RunningTask> _running = new(StringComparer.Ordinal);
    private readonly IStore _store;
    private readonly Peers _peers;
    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly TaskNews _news;
    private readonly TasksMetrics _metrics;
    private readonly ILogger<HeldTasks> _logger;
    private readonly StoreOutage _outage;

    public HeldTasks(IStore store, Peers peers, ConfigStore config, TimeProvider time, TaskNews news, TasksMetrics metrics, ILogger<HeldTasks> logger)
    {
        (_store, _peers, _config, _time, _news, _metrics, _logger) = (store, peers, config, time, news, metrics, logger);
        _outage = new StoreOutage(time);
        peers.OnLetter(CancelLetter, letter => Told(letter, task => task.Call.Cancel()));
        peers.OnLetter(AnswersLetter, letter => Told(letter, task => task.Call.Answer(TaskAnswers.Read(letter.Body.Span) ?? [])));
        peers.OnLetter(RefusalsLetter, letter => Told(letter, task => task.Call.Refuse(TaskAnswers.Read(letter.Body.Span) ?? [])));
    }

    /// <summary>The process ends. What another one can go on with is left to it; only what is known is written down.</summary>
    public bool Leaves { get; private set; }

    public DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>Commits that a call is a task from now on: only then may the id leave (invariant 17).</summary>
    /// <returns>Null: it is none; there are too many tasks, or the store did not take it.</returns>
    public async Task<RunningTask?> HoldAsync(NewTask what, TaskCall call)
    {
        if (Leaves)
        {
            return null;
        }

        var (now, calls, limits) = (Now, _config.Current.Calls, _config.Current.Limits);
        var task = new HeldTask
        {
            Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
            Issuer = what.Principal.Issuer,
            Subject = what.Principal.Subject,
            Route = what.Route,
            Server = what.Server,
            Tool = what.Tool,
            Meta = what.Meta,
            Created = now,
            Updated = now,
            // No call takes longer than the hard cap, so what is promised here holds.
            Expires = now + calls.HardCap + calls.TaskKeep,
            Replica = _peers.Name,
            ServerTask = what.ServerTask,
            Cursor = what.Place,
        };
        var running = new RunningTask(task, call, this);
        _running[task.Id] = running;
        try
        {
            if (await _store.HoldTaskAsync(task, limits.TasksFor(what.Principal == Principal.Anonymous), limits.Tasks))
            {
                _metrics.Created(task.Server);
                return running;
            }

            if (_outage.IsNews("too many"))
            {
                Log.TooMany(_logger, task.Server);
            }
        }
        catch (StoreException e)
        {
            Complain(e);
            DropAsync(running).Unawaited(_logger);
        }

        Forget(running);
        return null;
    }

    /// <summary>Goes on with a task that this process has taken over.</summary>
    /// <param name="task">Its record.</param>
    /// <param name="call">What goes on.</param>
    public RunningTask Resume(HeldTask task, TaskCall call) => _running[task.Id] = new RunningTask(task, call, this);

    /// <summary>Nobody was given its id.</summary>
    public async Task DropAsync(RunningTask task)
    {
        Forget(task);
        try
        {
            await _store.DropHeldTaskAsync(task.Id);
        }
        catch (StoreException)
        {
            // It goes when its time is up.
        }
    }

    /// <summary>A person's task on a route; null where there is none, or not any more. Whose it is and that it is another's is not told apart.</summary>
    /// <exception cref="StoreException">It cannot be told just now.</exception>
    public async ValueTask<HeldTask?> FindAsync(Principal principal, string? route, string id) =>
        await _store.FindHeldTaskAsync(id, CancellationToken.None) is { } task && new Principal(task.Issuer, task.Subject) == principal && task.Route == route && task.Expires >= Now
            ? task
            : null;

    /// <summary>A task as it is now; null where it is gone.</summary>
    /// <exception cref="StoreException">It cannot be told just now.</exception>
    public ValueTask<HeldTask?> FindAsync(HeldTask task) => FindAsync(new Principal(task.Issuer, task.Subject), task.Route, task.Id);

    /// <summary>Has a task's call cancelled, wherever it runs.</summary>
    /// <returns>False: whoever runs it could not be told.</returns>
    /// <exception cref="StoreException">It cannot be told just now.</exception>
    public async Task<bool> CancelAsync(HeldTask task)
    {
        if (task.IsFinal)
        {
            return true;
        }

        if (_running.TryGetValue(task.Id, out var running))
        {
            running.Call.Cancel();
            await running.SavedAsync();
            return true;
        }

        return await _peers.PostAsync(task.Replica, CancelLetter, new Letter("", task.Id, default)) || await IsFinalAsync(task);
    }

    /// <summary>Passes a client's answers on to the call, wherever it runs.</summary>
    /// <param name="task">The task.</param>
    /// <param name="answers">An object of one answer for each key, raw JSON.</param>
    /// <inheritdoc cref="CancelAsync"/>
    public Task<bool> AnswerAsync(HeldTask task, byte[] answers) => PassOnAsync(task, AnswersLetter, answers, call => call.Answer);

    /// <summary>Passes a client's errors on to the call, in place of answers.</summary>
    /// <param name="task">The task.</param>
    /// <param name="errors">An object of one error for each key, raw JSON.</param>
    /// <inheritdoc cref="CancelAsync"/>
    public Task<bool> RefuseAsync(HeldTask task, byte[] errors) => PassOnAsync(task, RefusalsLetter, errors, call => call.Refuse);

    /// <summary>Before the calls that do not finish are abandoned.</summary>
    public void Leave() => Leaves = true;

    /// <summary>Completes when what is known of the tasks here is written down.</summary>
    public Task SettleAsync() => Task.WhenAll(_running.Values.Select(task => task.SavedAsync()));

    /// <summary>When a task that ends now may go.</summary>
    internal DateTimeOffset Later(DateTimeOffset promised)
    {
        var kept = Now + _config.Current.Calls.TaskKeep;
        return kept > promised ? kept : promised;
    }

    private async Task<bool> PassOnAsync(HeldTask task, string letter, byte[] said, Func<TaskCall, Action<IReadOnlyList<(string, byte[])>>> taker)
    {
        if (task.IsFinal)
        {
            return true;
        }

        if (_running.TryGetValue(task.Id, out var running))
        {
            taker(running.Call)(TaskAnswers.Read(said) ?? []);
            // So that who asks next is not asked what is answered.
            await running.SavedAsync();
            return true;
        }

        return await _peers.PostAsync(task.Replica, letter, new Letter("", task.Id, said)) || await IsFinalAsync(task);
    }

    internal void Forget(RunningTask task) => _running.TryRemove(task.Id, out _);

    internal void Ended(RunningTask task, HeldTask record)
    {
        Forget(task);
        _metrics.Ended(record.Server, record.Status);
    }

    /// <summary>Writes a task down, however long the store is away.</summary>
    /// <returns>False: it is not this process's any more; another one has ended it, or goes on with it.</returns>
    internal async Task<bool> SaveAsync(HeldTask task)
    {
        while (true)
        {
            try
            {
                if (await _store.UpdateHeldTaskAsync(task) || await IsWrittenAsync(task))
                {
                    _news.Tell(task with { Revision = task.Revision + 1 });
                    return true;
                }

                return false;
            }
            catch (StoreException e)
            {
                Complain(e);
            }
            catch (ObjectDisposedException)
            {
                // The process ends without the store; whoever comes next ends the task.
                return false;
            }

            await Task.Delay(SaveAgain, _time);
        }
    }

    /// <summary>Whether it was written, and only the store's answer was lost: nobody else writes in this replica's name.</summary>
    private async Task<bool> IsWrittenAsync(HeldTask task) =>
        await _store.FindHeldTaskAsync(task.Id, CancellationToken.None) is { } there && there.Replica == task.Replica && there.Revision == task.Revision + 1;

    private async Task<bool> IsFinalAsync(HeldTask task) => await _store.FindHeldTaskAsync(task.Id, CancellationToken.None) is not { IsFinal: false };

    private Task Told(Letter letter, Action<RunningTask> what)
    {
        if (_running.TryGetValue(letter.Subject, out var task))
        {
            what(task);
        }

        return Task.CompletedTask;
    }

    private void Complain(StoreException e)
    {
        if (_outage.IsNews())
        {
            Log.StoreFailed(_logger, e.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(900, LogLevel.Warning, "A call to server {Server} does not become a task: there are as many as there may be (limits.tasks, limits.tasksPerUser). It goes on as a call, or is refused where its client wants nothing but a task.", EventName = "TooManyTasks")]
        public static partial void TooMany(ILogger logger, string server);

        [LoggerMessage(901, LogLevel.Error, "The store failed, so a task was not written down; it is tried again: {Reason}", EventName = "TaskNotWritten")]
        public static partial void StoreFailed(ILogger logger, string reason);
    }
}
