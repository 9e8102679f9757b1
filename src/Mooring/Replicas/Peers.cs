using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mooring.Stores;

namespace Mooring.Replicas;

/// <summary>
/// The other processes on the same store, and the way to them: letters into their mailboxes, which are kept until read, and signals, which
/// may be lost. A replica lives as long as it beats; one that stopped is taken over by exactly one other.
/// </summary>
/// <remarks>
/// Only on a store that several processes share; otherwise there are no others, nothing is written and nothing beats. There are no ports
/// between replicas: whoever reaches the store takes part.
/// </remarks>
internal sealed partial class Peers(IStore store, IReplicaStore replicas, IStoreSignals signals, TimeProvider time, ILogger<Peers> logger) : IAsyncDisposable
{
    /// <summary>Time between two beats.</summary>
    public static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);

    /// <summary>How long a replica counts as alive after a beat; four beats, so that a lost one or two mean nothing.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(8);

    /// <summary>How often the mailbox is looked into when nobody signals; signals may be lost.</summary>
    private static readonly TimeSpan LookWhileHearing = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan LookWhileDeaf = TimeSpan.FromMilliseconds(200);

    /// <summary>Time between two tries to post what must arrive.</summary>
    private static readonly TimeSpan PostAgain = TimeSpan.FromMilliseconds(500);

    private const int Page = 100;

    private const string MailSignal = "mail";

    private readonly Dictionary<string, Func<Letter, Task>> _readers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Action<string>> _hearers = new(StringComparer.Ordinal);
    private readonly List<Action<string>> _gone = [];
    private readonly ConcurrentQueue<string> _goneNews = new();
    private readonly List<Action> _missed = [];
    private readonly List<Action> _changed = [];
    private readonly HashSet<string> _leftBehind = new(StringComparer.Ordinal);
    private readonly StoreOutage _outage = new(time);
    private readonly CancellationTokenSource _stopping = new();
    private volatile string[] _others = [];
    private volatile string _name = NewName();
    private volatile bool _hears;
    private volatile TaskCompletionSource _mail = NewWait();
    private IAsyncDisposable? _listening;
    private Task _work = Task.CompletedTask;
    private long _beatsSince;
    private long _beat;
    private bool _beats;

    /// <summary>This process, new with every start.</summary>
    public string Name => _name;

    /// <summary>Whether other processes may be on the same store.</summary>
    public bool IsShared => store.IsRemote;

    /// <summary>Replicas that live, this one not among them; at most a beat old.</summary>
    public IReadOnlyList<string> Others => _others;

    /// <summary>Ends what a dead replica left undone. Called by the one that took it over, again where it failed.</summary>
    public Func<string, CancellationToken, Task>? TakenOver { get; set; }

    public bool IsAlive(string replica) => replica == _name || Array.IndexOf(_others, replica) >= 0;

    /// <summary>Says who reads letters of a kind. Before <see cref="Start"/>; called one letter after the other, so it must not wait for long.</summary>
    public void OnLetter(string kind, Func<Letter, Task> read) => _readers.Add(kind, read);

    /// <summary>Says who hears signals of a kind. Before <see cref="Start"/>; must return quickly and throw nothing.</summary>
    public void OnSignal(string kind, Action<string> hear) => _hearers.Add(kind, hear);

    /// <summary>Says who is told that a replica is no longer there, in order or not; all it wrote has been read then. Before <see cref="Start"/>.</summary>
    public void OnGone(Action<string> hear) => _gone.Add(hear);

    /// <summary>Says who is told that the others are not the same as before, or that this replica has another name. Before <see cref="Start"/>.</summary>
    public void OnChanged(Action hear) => _changed.Add(hear);

    /// <summary>Says who is told that signals may have been missed: whatever one of them would have said has to be looked for. Before <see cref="Start"/>.</summary>
    public void OnMissed(Action look) => _missed.Add(look);

    /// <summary>The store is open: from now on this replica is one of those on it.</summary>
    public void Start()
    {
        if (!IsShared)
        {
            return;
        }

        _listening = Listen();
        _work = Task.WhenAll(BeatAsync(), ReadMailAsync());
    }

    public void Signal(string to, string kind, string id) => _ = signals.PublishAsync(to, kind, id);

    public void SignalAll(string kind, string id)
    {
        foreach (var other in _others)
        {
            Signal(other, kind, id);
        }
    }

    /// <summary>The process ends: the others need not wait for its lease to be over.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _work;
        if (_listening is not null)
        {
            await _listening.DisposeAsync();
            try
            {
                await replicas.RemoveReplicaAsync(_name);
            }
            catch (StoreException e)
            {
                Complain(e);
            }
        }

        _stopping.Dispose();
    }

    private IAsyncDisposable Listen() => signals.Listen(_name, new SignalListener(Hear, HearAgain, () => _hears = false));

    private void Hear(string kind, string id)
    {
        if (kind == MailSignal)
        {
            _mail.TrySetResult();
        }
        else if (_hearers.TryGetValue(kind, out var hear))
        {
            hear(id);
        }
    }

    private void HearAgain()
    {
        _hears = true;
        _mail.TrySetResult();
        _missed.ForEach(look => look());
    }

    private async Task BeatAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await BeatOnceAsync();
            }
            catch (StoreException e)
            {
                _beats = false;
                Complain(e);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A bug of ours must not end the beats: the others would take this replica for dead.
                Log.BeatFailed(logger, e);
            }

            await PauseAsync(Beat);
        }
    }

    private async Task BeatOnceAsync()
    {
        if (!await replicas.BeatAsync(_name, $"{Environment.MachineName} {Environment.ProcessId}", Lease))
        {
            await RenameAsync();
            return;
        }

        // A beat that came late means that this process stood still, or the store did: then so may the others have.
        var now = time.GetTimestamp();
        if (!_beats || time.GetElapsedTime(_beat, now) > Lease / 2)
        {
            _beats = true;
            _beatsSince = now;
        }

        _beat = now;

        // While the store was away nobody could beat. Whoever is back first must not take the others for dead.
        var mayJudge = time.GetElapsedTime(_beatsSince) >= Lease;
        var all = await replicas.FindReplicasAsync(_stopping.Token);
        var before = _others;
        _others = [.. all.Where(r => r.Id != _name && !(mayJudge && r.IsExpired)).Select(r => r.Id)];
        foreach (var gone in before.Except(_others))
        {
            _goneNews.Enqueue(gone);
            _mail.TrySetResult();
        }

        if (!before.AsSpan().SequenceEqual(_others))
        {
            _changed.ForEach(hear => hear());
        }

        foreach (var dead in mayJudge ? all.Where(r => r.IsExpired && r.Id != _name) : [])
        {
            if (await replicas.TryTakeOverAsync(dead.Id, _name))
            {
                Log.TookOver(logger, dead.Id);
                _leftBehind.Add(dead.Id);
            }
        }

        // Kept until it is done: nobody else does it after the take-over.
        foreach (var dead in _leftBehind.ToList())
        {
            await (TakenOver?.Invoke(dead, _stopping.Token) ?? Task.CompletedTask);
            _leftBehind.Remove(dead);
        }
    }

    /// <summary>The others took this replica for dead (it stood still for longer than its lease); it goes on as a new one.</summary>
    private async Task RenameAsync()
    {
        Log.TakenForDead(logger, _name);
        await _listening!.DisposeAsync();
        _name = NewName();
        _listening = Listen();
        _changed.ForEach(hear => hear());
    }

    private async Task PauseAsync(TimeSpan pause, Task? orSooner = null)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var delay = Task.Delay(pause, time, over.Token);
        await Task.WhenAny(delay, orSooner ?? delay);
        await over.CancelAsync();
    }

    private void Complain(StoreException e)
    {
        if (_outage.IsNews())
        {
            Log.StoreFailed(logger, e);
        }
    }

    /// <summary>A name that nobody else has.</summary>
    public static string NewName() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));

    private static TaskCompletionSource NewWait() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static partial class Log
    {
        [LoggerMessage(800, LogLevel.Warning, "Replica {Replica} is gone; this one ends what it left undone.", EventName = "ReplicaTakenOver")]
        public static partial void TookOver(ILogger logger, string replica);

        [LoggerMessage(801, LogLevel.Warning, "Another replica took this one ({Replica}) for dead, since it did not beat for its lease; it goes on under a new name. Calls that ran are told as outcome unknown.", EventName = "ReplicaTakenForDead")]
        public static partial void TakenForDead(ILogger logger, string replica);

        [LoggerMessage(802, LogLevel.Warning, "The store failed; the other replicas are asked again.", EventName = "ReplicaStoreFailed")]
        public static partial void StoreFailed(ILogger logger, Exception exception);

        [LoggerMessage(806, LogLevel.Error, "A beat failed.", EventName = "BeatFailed")]
        public static partial void BeatFailed(ILogger logger, Exception exception);

        [LoggerMessage(803, LogLevel.Warning, "A letter of kind {Kind} was not posted.", EventName = "LetterNotPosted")]
        public static partial void NotPosted(ILogger logger, Exception exception, string kind);

        [LoggerMessage(804, LogLevel.Debug, "A letter of kind {Kind} is not understood.", EventName = "LetterNotUnderstood")]
        public static partial void NotUnderstood(ILogger logger, string kind);

        [LoggerMessage(805, LogLevel.Error, "Reading a letter of kind {Kind} failed.", EventName = "LetterReaderFailed")]
        public static partial void ReaderFailed(ILogger logger, Exception exception, string kind);
    }
}
