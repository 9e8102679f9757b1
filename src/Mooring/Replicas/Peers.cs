using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mooring.Stores;
using Mooring.Telemetry;

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

    /// <summary>A look at the mailbox that takes so long goes to a store that is far away, or slow.</summary>
    private static readonly TimeSpan FarAway = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan LookFarAway = TimeSpan.FromMilliseconds(50);

    /// <summary>Time between two tries to post what must arrive.</summary>
    private static readonly TimeSpan PostAgain = TimeSpan.FromMilliseconds(500);

    private const int Page = 100;

    /// <summary>Others may go on posting to one that leaves until they hear of it.</summary>
    private const int MostTriesToLeave = 5;

    private const string MailSignal = "mail";

    /// <summary>Somebody came, went or was taken over: whoever hears it looks who is there.</summary>
    private const string PeersSignal = "peers";

    /// <summary>The sender knows the one it signals to from now on; what it said before may have missed that one.</summary>
    private const string KnownSignal = "known";

    private readonly Dictionary<string, (Func<Letter, LetterName, Task<Task>> Read, bool Once)> _readers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Action<string>> _hearers = new(StringComparer.Ordinal);
    private readonly List<Action<string>> _gone = [];
    private readonly ConcurrentQueue<string> _goneNews = new();
    private readonly ConcurrentDictionary<Task<bool>, bool> _posting = new();
    private readonly List<Action> _missed = [];
    private readonly List<Action> _changed = [];
    private readonly List<Action> _leaving = [];
    private readonly StoreOutage _outage = new(time);
    private readonly CancellationTokenSource _stopping = new();
    private volatile Seen _seen = new([], []);
    private volatile string _name = NewName();
    private volatile string? _introduced;
    private volatile bool _hears;
    private volatile TaskCompletionSource _mail = NewWait();
    private volatile TaskCompletionSource _look = NewWait();
    private IAsyncDisposable? _listening;
    private Task _work = Task.CompletedTask;
    private IHeir? _heir;
    private long _beatsSince;
    private long _beat;

    /// <summary>From when on the lease counts, at the latest: when the last beat that was taken was sent.</summary>
    private long _leased;
    private bool _beats;

    /// <summary>This process, new with every start.</summary>
    public string Name => _name;

    /// <summary>Whether other processes may be on the same store.</summary>
    public bool IsShared => store.IsRemote;

    /// <summary>Whether signals of others arrive; where they do not, whatever one would have said has to be looked for more often.</summary>
    public bool Hears => _hears;

    /// <summary>Replicas that live, this one not among them; at most a beat old, and mostly not that.</summary>
    public IReadOnlyList<string> Others => _seen.Alive;

    public bool IsAlive(string replica) => replica == _name || Array.IndexOf(_seen.Alive, replica) >= 0;

    /// <summary>Whether this one's beats have not been taken for so long that the others may think so, or will soon. It knows for sure with the next that is.</summary>
    public bool MayBeTakenForDead => IsShared && time.GetElapsedTime(Volatile.Read(ref _leased)) > Lease / 2;

    /// <summary>Whether its lease is over and nobody has taken it over: it may be dead, or only slow, and what it holds is still its own.</summary>
    public bool IsDoubted(string replica) => Array.IndexOf(_seen.Doubted, replica) >= 0;

    /// <summary>Completes once it is known again whether a replica lives: at once for all but those that are doubted.</summary>
    /// <exception cref="OperationCanceledException">It was given up, or this process ends.</exception>
    public async Task WhileDoubtedAsync(string replica, CancellationToken cancel)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, cancel);
        while (IsDoubted(replica))
        {
            await Task.Delay(LookWhileDeaf, time, both.Token);
        }
    }

    /// <summary>Says who reads letters of a kind. Before <see cref="Start"/>; called one letter after the other, so it must not wait for long.</summary>
    /// <param name="kind">Kind of letter.</param>
    /// <param name="read">Reads one. What it throws other than a failure of the store is a bug; after such a failure it is called again.</param>
    /// <param name="once">
    /// Whether no letter may be read twice, not even by a process that takes over from this one: it is off the mailbox before it is read, and one
    /// that was not read when the process died is lost. Others stay until they were read, and may be read once more by whoever takes over.
    /// </param>
    public void OnLetter(string kind, Func<Letter, Task> read, bool once = false) => _readers.Add(
        kind,
        (async (letter, _) =>
        {
            await read(letter);
            return Task.CompletedTask;
        }, once));

    /// <summary>
    /// As <see cref="OnLetter"/>, for letters of which more is to be done than can be waited for: reading gives a task, and until that completes the letter stays
    /// in the mailbox, where whoever takes over finds it and is told that it may have been read before. Not for ever: some seconds, and some hundreds of them.
    /// </summary>
    public void OnKeptLetter(string kind, Func<Letter, LetterName, Task<Task>> read) => _readers.Add(kind, (read, false));

    /// <summary>Says who hears signals of a kind. Before <see cref="Start"/>; must return quickly and throw nothing.</summary>
    public void OnSignal(string kind, Action<string> hear) => _hearers.Add(kind, hear);

    /// <summary>
    /// Says who is told that a replica is no longer there: it left in order, or was taken over; not that its lease is over. All it wrote until then
    /// has been read. Before <see cref="Start"/>.
    /// </summary>
    public void OnGone(Action<string> hear) => _gone.Add(hear);

    /// <summary>Says who is told that the others are not the same as before, or that this replica has another name. Before <see cref="Start"/>.</summary>
    public void OnChanged(Action hear) => _changed.Add(hear);

    /// <summary>Says who is told that this replica leaves; letters are still read. May be said more than once. Before <see cref="Start"/>.</summary>
    public void OnLeaving(Action hear) => _leaving.Add(hear);

    /// <summary>Nothing is begun for others any more, and nobody here waits for what others run.</summary>
    public void Leaving() => _leaving.ForEach(hear => hear());

    /// <summary>Says who is told that signals may have been missed: whatever one of them would have said has to be looked for. Before <see cref="Start"/>.</summary>
    public void OnMissed(Action look) => _missed.Add(look);

    /// <summary>The store is open: from now on this replica is one of those on it.</summary>
    public void Start(IHeir heir)
    {
        if (!IsShared)
        {
            return;
        }

        _heir = heir;
        _listening = Listen();
        _inheritance = new Inheritance(_name, _stopping.Token);
        _work = Task.WhenAll(BeatAsync(), ReadMailAsync(), EndLeftBehindAsync(heir));
    }

    public void Signal(string to, string kind, string id) => signals.PublishAsync(to, kind, id).Unawaited(logger);

    public void SignalAll(string kind, string id)
    {
        foreach (var other in _seen.Alive)
        {
            Signal(other, kind, id);
        }
    }

    /// <summary>The process ends: the others need not wait for its lease to be over. What it wrote and ran must have come to its end before.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        Leaving();
        await _stopping.CancelAsync();
        await _work;
        await EndLooksAsync();
        if (_listening is not null)
        {
            await _listening.DisposeAsync();
            await LeaveAsync();
            await _inheritance.EndAsync();
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
        else if (kind == PeersSignal)
        {
            _look.TrySetResult();
        }
        else if (kind == KnownSignal)
        {
            _missed.ForEach(look => look());
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
            _look = NewWait();
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

            await PauseAsync(Beat, _look.Task);
        }
    }

    private async Task BeatOnceAsync()
    {
        var sent = time.GetTimestamp();
        if (!await replicas.BeatAsync(_name, Info, Lease))
        {
            await RenameAsync();
            return;
        }

        Volatile.Write(ref _leased, sent);

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
        See(all, mayJudge);
        if (_introduced != _name)
        {
            // The others need not wait for their next beat to know of this one.
            _introduced = _name;
            SignalAll(PeersSignal, "");
        }

        foreach (var dead in _seen.Doubted)
        {
            await TakeOverAsync(dead);
        }
    }

    private void See(IReadOnlyList<ReplicaRecord> all, bool mayJudge)
    {
        var before = _seen;
        _seen = new Seen(
            [.. all.Where(r => r.Id != _name && !(mayJudge && r.IsExpired)).Select(r => r.Id)],
            [.. all.Where(r => r.Id != _name && mayJudge && r.IsExpired).Select(r => r.Id)]);
        foreach (var gone in before.All.Except(_seen.All))
        {
            Gone(gone);
        }

        if (!before.Alive.AsSpan().SequenceEqual(_seen.Alive))
        {
            foreach (var known in _seen.Alive.Except(before.Alive))
            {
                Signal(known, KnownSignal, "");
            }

            _changed.ForEach(hear => hear());
        }
    }

    private void Gone(string replica)
    {
        _goneNews.Enqueue(replica);
        _mail.TrySetResult();
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
            Log.StoreFailed(logger, e.Message);
        }
    }

    /// <summary>A name that nobody else has.</summary>
    public static string NewName() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));

    private static TaskCompletionSource NewWait() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="Alive">Others that live.</param>
    /// <param name="Doubted">Others whose lease is over and whom nobody has taken over.</param>
    private sealed record Seen(string[] Alive, string[] Doubted)
    {
        public IEnumerable<string> All => Alive.Concat(Doubted);
    }

    private static partial class Log
    {
        [LoggerMessage(800, LogLevel.Warning, "Replica {Replica} is gone; this one ends what it left undone.", EventName = "ReplicaTakenOver")]
        public static partial void TookOver(ILogger logger, string replica);

        [LoggerMessage(801, LogLevel.Warning, "Another replica took this one ({Replica}) for dead, since it did not beat for its lease; it goes on under a new name. Calls that ran are gone on with there too, or told as outcome unknown.", EventName = "ReplicaTakenForDead")]
        public static partial void TakenForDead(ILogger logger, string replica);

        [LoggerMessage(802, LogLevel.Warning, "The store failed; the other replicas are asked again. {Reason}", EventName = "ReplicaStoreFailed")]
        public static partial void StoreFailed(ILogger logger, string reason);

        [LoggerMessage(806, LogLevel.Error, "A beat failed.", EventName = "BeatFailed")]
        public static partial void BeatFailed(ILogger logger, Exception exception);

        [LoggerMessage(807, LogLevel.Error, "Ending what a dead replica left undone failed; it is tried again.", EventName = "LeftBehindFailed")]
        public static partial void NotEnded(ILogger logger, Exception exception);

        [LoggerMessage(809, LogLevel.Error, "Reading the mailbox failed; it is read again.", EventName = "MailFailed")]
        public static partial void MailFailed(ILogger logger, Exception exception);

        [LoggerMessage(803, LogLevel.Warning, "A letter of kind {Kind} was not posted: {Reason}", EventName = "LetterNotPosted")]
        public static partial void NotPosted(ILogger logger, string kind, string reason);

        [LoggerMessage(804, LogLevel.Debug, "A letter of kind {Kind} is not understood.", EventName = "LetterNotUnderstood")]
        public static partial void NotUnderstood(ILogger logger, string kind);

        [LoggerMessage(805, LogLevel.Error, "Reading a letter of kind {Kind} failed.", EventName = "LetterReaderFailed")]
        public static partial void ReaderFailed(ILogger logger, Exception exception, string kind);
    }
}
