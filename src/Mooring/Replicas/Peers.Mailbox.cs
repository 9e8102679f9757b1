using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Replicas;

/// <content>The own mailbox: what was read of it, and is taken off it.</content>
internal sealed partial class Peers
{
    /// <summary>Whether a letter that is read once at most is off the mailbox, and this replica's.</summary>
    private async Task<bool> IsDroppedAsync(Mailbox box, MailRecord mail)
    {
        await box.Dropping;
        return mail.Sequence <= box.Dropped || await DropAsync(box, box.Letters.TakeWhile(IsOnce).Last().Sequence);
    }

    /// <summary>Takes what was read off the mailbox, beside the next letters: where the store is far away they would wait for it.</summary>
    private void DropBeside(Mailbox box)
    {
        // Said first: what is under way may end just now.
        box.IsWaited = true;
        if (!box.Dropping.IsCompleted)
        {
            return;
        }

        box.IsWaited = false;
        if (box.LetGo(time) || box.Read > box.Dropped)
        {
            box.Dropping = DropReadAsync(box);
            box.Dropping.ContinueWith(_ => LookAgain(box), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).Unawaited(logger, "looking at the mailbox again");
        }
    }

    private void LookAgain(Mailbox box)
    {
        if (box.IsWaited)
        {
            _mail.TrySetResult();
        }
    }

    /// <summary>Where the store does not do it now, it does at the next look. Never fails.</summary>
    private async Task DropReadAsync(Mailbox box)
    {
        try
        {
            await DropAsync(box, box.Read);
            return;
        }
        catch (StoreException e)
        {
            Complain(e);
        }
        catch (Exception e)
        {
            Log.MailFailed(logger, e);
        }

        box.IsOwed = true;
    }

    /// <summary>Takes letters off the mailbox. Where the store's answer is lost it is asked again, for the same.</summary>
    /// <returns>Whether they were this replica's.</returns>
    private async Task<bool> DropAsync(Mailbox box, long upTo)
    {
        // What is let go meanwhile is owed anew.
        box.IsOwed = false;
        var isOurs = await replicas.AcknowledgeAsync(box.Name, upTo, box.Held);
        box.Dropped = Math.Max(box.Dropped, upTo);
        return isOurs;
    }

    /// <summary>Once all that was held is kept the mailbox is looked after; one at a time that would be a write for each letter.</summary>
    private void WhenKept(Mailbox box)
    {
        if (box.IsLastKept())
        {
            _mail.TrySetResult();
        }
    }

    /// <summary>The letters of one name, on their way from the store to their readers. The reading loop's, and of what drops letters beside it, one at a time.</summary>
    private sealed class Mailbox(string name)
    {
        /// <summary>What is held for longer may wait for a client that never comes; it must not fill the mailbox.</summary>
        private static readonly TimeSpan MostHeld = TimeSpan.FromSeconds(10);

        private const int MostHeldAtOnce = 200;

        private readonly Queue<(long Sequence, Task Kept, long Since)> _held = new();
        private int _notKept;
        private bool _isWaited;

        public string Name => name;

        /// <summary>Letters that were read and stay in the mailbox for now.</summary>
        public IReadOnlyList<long> Held => [.. _held.Select(one => one.Sequence)];

        /// <summary>Taking letters off the mailbox, beside reading the next; one at a time, and never fails.</summary>
        public Task Dropping { get; set; } = Task.CompletedTask;

        /// <summary>Whether there may be more to take off once that is done.</summary>
        public bool IsWaited
        {
            get => Volatile.Read(ref _isWaited);
            set => Interlocked.Exchange(ref _isWaited, value);
        }

        /// <summary>Whether letters that are held no longer are still in the mailbox.</summary>
        public bool IsOwed { get; set; }

        public void Hold(long sequence, Task kept, long now)
        {
            Interlocked.Increment(ref _notKept);
            _held.Enqueue((sequence, kept, now));
        }

        /// <returns>Whether nothing else is to be kept.</returns>
        public bool IsLastKept() => Interlocked.Decrement(ref _notKept) == 0;

        /// <returns>Whether there is something to take off the mailbox.</returns>
        public bool LetGo(TimeProvider time)
        {
            for (var left = _held.Count; left > 0; left--)
            {
                var one = _held.Dequeue();
                if (one.Kept.IsCompleted || left > MostHeldAtOnce || time.GetElapsedTime(one.Since) > MostHeld)
                {
                    IsOwed = true;
                }
                else
                {
                    _held.Enqueue(one);
                }
            }

            return IsOwed;
        }

        public Queue<MailRecord> Letters { get; } = new();

        /// <summary>The last letter that was read.</summary>
        public long Read { get; set; }

        /// <summary>The last letter that is off the mailbox.</summary>
        public long Dropped { get; set; }
    }
}
