using Mooring.Stores;

namespace Mooring.Replicas;

/// <content>
/// What dead replicas left undone. It is ended beside the beats, never in them: however much that is and however slow the store, the heir must not
/// be taken for dead over it.
/// </content>
internal sealed partial class Peers
{
    /// <summary>How often one of the replicas looks for what nobody answers for.</summary>
    private static readonly TimeSpan LookForOrphans = TimeSpan.FromSeconds(20);

    /// <summary>Between what a replica says of itself for people, and the names that it had before.</summary>
    private const string Formerly = " formerly ";

    /// <summary>So many renamings ago no call is left that was begun before.</summary>
    private const int MostFormerNames = 16;

    /// <summary>Names that this process had before, the newest last: calls that were recorded under one of them may still run.</summary>
    private volatile string[] _former = [];

    private volatile Inheritance _inheritance = new("", CancellationToken.None);

    /// <summary>What this process says of itself with each beat.</summary>
    private string Info => $"{Environment.MachineName} {Environment.ProcessId}{(_former is [] ? "" : Formerly + string.Join(' ', _former))}";

    /// <summary>Of all replicas that live one is the first; while they do not agree, none or several may take themselves for it.</summary>
    private bool IsFirst => Array.TrueForAll(_seen.Alive, other => string.CompareOrdinal(_name, other) < 0);

    private async Task TakeOverAsync(string dead)
    {
        try
        {
            if (await replicas.TryTakeOverAsync(dead, _name))
            {
                Log.TookOver(logger, dead);
                _seen = _seen with { Doubted = [.. _seen.Doubted.Where(r => r != dead)] };
                Gone(dead);
                SignalAll(PeersSignal, "");
            }
        }
        finally
        {
            // Also where it failed: the store may have done it, and only its answer be lost.
            _inheritance.Grow();
        }
    }

    /// <summary>Ends what those left undone that this replica answers for, and now and then what nobody answers for.</summary>
    private async Task EndLeftBehindAsync(IHeir heir)
    {
        var looked = time.GetTimestamp();
        while (!_stopping.IsCancellationRequested)
        {
            var inheritance = _inheritance;
            var grown = inheritance.NextGrowth();
            try
            {
                await EndLeftBehindAsync(heir, inheritance);
                if (time.GetElapsedTime(looked) >= LookForOrphans)
                {
                    looked = time.GetTimestamp();
                    await LookForOrphansAsync(heir, inheritance);
                }
            }
            catch (StoreException e)
            {
                Complain(e);
            }
            catch (OperationCanceledException) when (inheritance.Over.IsCancellationRequested)
            {
                // The process stops, or has another name.
                continue;
            }
            catch (Exception e)
            {
                Log.NotEnded(logger, e);
            }

            await PauseAsync(Beat, grown);
        }
    }

    /// <summary>Also what a dead one had taken over itself, and not ended. Nobody else does.</summary>
    private async Task EndLeftBehindAsync(IHeir heir, Inheritance inheritance)
    {
        if (inheritance.TakeGrowth())
        {
            try
            {
                inheritance.Add(await replicas.FindTakenOverAsync(inheritance.Name, inheritance.Over));
            }
            catch
            {
                inheritance.Grow();
                throw;
            }
        }

        foreach (var dead in inheritance.Open)
        {
            inheritance.Over.ThrowIfCancellationRequested();
            try
            {
                await heir.EndAsync(dead, inheritance.Over);
                inheritance.Ended(dead);
            }
            catch (Exception e) when (e is not (StoreException or OperationCanceledException))
            {
                // A bug of ours must not keep what the next one left.
                Log.NotEnded(logger, e);
            }
        }
    }

    private async Task LookForOrphansAsync(IHeir heir, Inheritance inheritance)
    {
        if (!IsFirst)
        {
            return;
        }

        // One whose lease is over may live. One that was taken over answers for nothing any more, unless it lives on under another name.
        var all = await replicas.FindReplicasAsync(inheritance.Over);
        await heir.EndOrphansAsync([.. all.SelectMany(NamesOf)], inheritance.Over);
    }

    private static IEnumerable<string> NamesOf(ReplicaRecord replica) =>
        replica.Info.Split(Formerly) is [_, var former] ? former.Split(' ').Append(replica.Id) : [replica.Id];

    /// <summary>The others took this replica for dead (it stood still for longer than its lease); it goes on as a new one.</summary>
    private async Task RenameAsync()
    {
        Log.TakenForDead(logger, _name);
        await _listening!.DisposeAsync();
        _former = [.. _former.Append(_name).TakeLast(MostFormerNames)];
        _name = NewName();
        _listening = Listen();
        // Whoever took it over answers for those, too.
        var before = _inheritance;
        _inheritance = new Inheritance(_name, _stopping.Token);
        await before.EndAsync();
        _changed.ForEach(hear => hear());
        _look.TrySetResult();
    }

    /// <summary>
    /// Whom this process answers for, as long as it has one name: whoever takes over that name answers for all of them. Only the loop that ends what they
    /// left reads it; the beats tell it that there may be more.
    /// </summary>
    private sealed class Inheritance
    {
        private readonly CancellationTokenSource _over;
        private readonly HashSet<string> _open = new(StringComparer.Ordinal);
        private readonly HashSet<string> _ended = new(StringComparer.Ordinal);
        private volatile TaskCompletionSource _growth = NewWait();
        private volatile bool _hasGrown;

        public Inheritance(string name, CancellationToken stopping)
        {
            _over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            (Name, Over) = (name, _over.Token);
        }

        public string Name { get; }

        /// <summary>Says that the process stops, or has another name.</summary>
        public CancellationToken Over { get; }

        /// <summary>Those whose work is not ended, as far as is known.</summary>
        public IReadOnlyList<string> Open => [.. _open];

        /// <summary>Whether there is, or may be, something to end.</summary>
        public bool HasMore => _hasGrown || _open.Count > 0;

        /// <summary>Somebody was taken over, as far as is known, and it has to be asked who that answered for.</summary>
        public void Grow()
        {
            _hasGrown = true;
            _growth.TrySetResult();
        }

        /// <summary>Completes when it grows after this was asked for.</summary>
        public Task NextGrowth() => (_growth = NewWait()).Task;

        /// <summary>Whether it has to be asked; with the next growth again.</summary>
        public bool TakeGrowth()
        {
            var has = _hasGrown;
            _hasGrown = false;
            return has;
        }

        public void Add(IEnumerable<string> taken) => _open.UnionWith(taken.Where(replica => !_ended.Contains(replica)));

        public void Ended(string dead)
        {
            _open.Remove(dead);
            _ended.Add(dead);
        }

        public async Task EndAsync()
        {
            await _over.CancelAsync();
            _growth.TrySetResult();
            _over.Dispose();
        }
    }
}
