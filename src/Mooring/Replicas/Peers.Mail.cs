using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Replicas;

/// <content>Letters: into the mailboxes of others, and out of the own one.</content>
internal sealed partial class Peers
{
    private Mailbox? _box;

    /// <summary>Puts a letter into a replica's mailbox.</summary>
    /// <returns>False when there is no such replica any more, or the store did not take it.</returns>
    /// <param name="to">The replica.</param>
    /// <param name="kind">Kind of letter.</param>
    /// <param name="letter">The letter.</param>
    /// <param name="name">What it is known by, where it may be posted again; the mailbox takes it once.</param>
    public async Task<bool> PostAsync(string to, string kind, Letter letter, string? name = null)
    {
        try
        {
            return await PostOnceAsync(to, kind, name ?? NewName(), letter);
        }
        catch (StoreException e)
        {
            Log.NotPosted(logger, kind, e.Message);
            return false;
        }
    }

    /// <summary>Puts a letter into a replica's mailbox, however long the store is away or the mailbox full: once, also where only the store's answer was lost.</summary>
    /// <param name="to">The replica.</param>
    /// <param name="kind">Kind of letter.</param>
    /// <param name="letter">The letter.</param>
    /// <param name="unsure">Told that a try failed: from then on the letter may be there, and may have been read, whatever comes of the next.</param>
    /// <param name="begins">Asked before each try, after which the letter may be there; false gives up.</param>
    /// <param name="refused">Told that a try was certainly not taken: the mailbox is full.</param>
    /// <param name="cancel">Gives up; the letter may be there or not.</param>
    /// <returns>False when there is no such replica any more; then it was not posted, unless a try before failed.</returns>
    /// <exception cref="OperationCanceledException">It was given up, or this process ends.</exception>
    public async Task<bool> PostSurelyAsync(
        string to, string kind, Letter letter, Action? unsure = null, Func<bool>? begins = null, Action? refused = null, CancellationToken cancel = default)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, cancel);
        var name = NewName();
        while (true)
        {
            if (begins?.Invoke() is false)
            {
                throw new OperationCanceledException();
            }

            try
            {
                return await PostOnceAsync(to, kind, name, letter);
            }
            catch (MailboxFullException e)
            {
                refused?.Invoke();
                Complain(e);
            }
            catch (StoreException e)
            {
                unsure?.Invoke();
                Complain(e);
            }

            await Task.Delay(PostAgain, time, both.Token);
        }
    }

    /// <summary>Letters to a replica that are read in the order in which they are put in.</summary>
    public LetterQueue NewQueue(string to) => new(this, to);

    /// <summary>Completes when all that is in queues now is in the mailboxes it is for, or never gets there.</summary>
    public Task SettleAsync() => Task.WhenAll(_posting.Keys);

    /// <summary>Notes a letter of a queue that is under way.</summary>
    public Task<bool> Track(Task<bool> posting)
    {
        _posting[posting] = true;
        posting.ContinueWith(done => _posting.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).Unawaited(logger, "forgetting a letter that is posted");
        return posting;
    }

    private async Task<bool> PostOnceAsync(string to, string kind, string name, Letter letter)
    {
        if (await replicas.PostAsync(to, kind, name, letter.ToBytes()) is null)
        {
            return false;
        }

        signals.PublishAsync(to, MailSignal, "").Unawaited(logger);
        return true;
    }

    /// <summary>A name for a letter to one replica, which shows that it was written to that one.</summary>
    public static string NameTo(string replica) => $"{replica}.{NewName()}";

    private async Task ReadMailAsync()
    {
        var box = _box = new Mailbox(_name);
        List<string> gone = [];
        while (!_stopping.IsCancellationRequested)
        {
            _mail = NewWait();
            if (box.Name != _name)
            {
                // What is held there is another's now.
                box = _box = new Mailbox(_name);
            }

            while (_goneNews.TryDequeue(out var replica))
            {
                gone.Add(replica);
            }

            var began = time.GetTimestamp();
            try
            {
                await ReadAsync(box);

                // Only now: what it wrote before it went has been read.
                gone.ForEach(replica => _gone.ForEach(hear => hear(replica)));
                gone.Clear();
            }
            catch (StoreException e)
            {
                Complain(e);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A bug of ours must not leave this replica deaf to the others.
                Log.MailFailed(logger, e);
            }

            // Where the store is far away a signal is on its way for as long as a look.
            await PauseAsync(time.GetElapsedTime(began) >= FarAway ? LookFarAway : _hears ? LookWhileHearing : LookWhileDeaf, _mail.Task);
        }
    }

    /// <summary>Reads what is in the mailbox. After a failure of the store it goes on with the letter it was at.</summary>
    private async Task ReadAsync(Mailbox box)
    {
        bool isMore;
        do
        {
            isMore = box.Letters.Count > 0;
            if (!isMore)
            {
                foreach (var mail in await replicas.ReadMailboxAsync(box.Name, box.Read, Page, _stopping.Token))
                {
                    box.Letters.Enqueue(mail);
                }

                isMore = box.Letters.Count == Page;
            }

            while (box.Letters.TryPeek(out var mail))
            {
                if (IsOnce(mail) && !await IsDroppedAsync(box, mail))
                {
                    // Taken over meanwhile: what is left is read by whoever did it. The next beat says so.
                    box.Letters.Clear();
                    _look.TrySetResult();
                    return;
                }

                var kept = await ReadAsync(box.Name, mail);
                box.Letters.Dequeue();
                box.Read = mail.Sequence;
                if (!kept.IsCompleted)
                {
                    box.Hold(mail.Sequence, kept, time.GetTimestamp());
                    kept.ContinueWith(_ => WhenKept(box), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).Unawaited(logger, "dropping a letter that was kept");
                }
            }

            DropBeside(box);
        }
        while (isMore);
    }

    /// <summary>Hands on what is in the mailbox and goes. If that cannot be done the lease runs out, and whoever takes over finds all of it.</summary>
    private async Task LeaveAsync()
    {
        try
        {
            if (_inheritance.HasMore)
            {
                // What those left undone is for the next heir.
                return;
            }

            if (_box is { Read: > 0 } box && box.Name == _name)
            {
                await box.Dropping;
                box.LetGo(time);
                await DropAsync(box, box.Read);
            }

            await _heir!.EndAsync(_name, CancellationToken.None);
            for (var tries = 1; !await replicas.RemoveReplicaAsync(_name); tries++)
            {
                if (tries > MostTriesToLeave || !await HandOnAsync())
                {
                    return;
                }
            }

            await Task.WhenAll(_seen.Alive.Select(other => signals.PublishAsync(other, PeersSignal, "")));
        }
        catch (StoreException e)
        {
            Complain(e);
        }
    }

    /// <summary>Letters that came too late are for one of the others, as after a take-over. Where there is none they stay for whoever comes next and takes this one over.</summary>
    /// <returns>False when it must not go: the letters are another's, or nobody's yet.</returns>
    private async Task<bool> HandOnAsync()
    {
        foreach (var mail in await replicas.ReadMailboxAsync(_name, 0, int.MaxValue, CancellationToken.None))
        {
            if (!IsOnce(mail) && !await HandOnAsync(mail))
            {
                return false;
            }

            if (!await replicas.AcknowledgeAsync(_name, mail.Sequence))
            {
                return false;
            }

            if (IsOnce(mail))
            {
                // Its reader knows that this one leaves, and says so to whoever wrote it.
                await ReadAsync(_name, mail);
            }
        }

        return true;
    }

    /// <returns>Whether one of the others has it.</returns>
    private async Task<bool> HandOnAsync(MailRecord mail)
    {
        foreach (var other in _seen.Alive)
        {
            if (await replicas.PostAsync(other, mail.Kind, mail.CallId, mail.Body) is not null)
            {
                signals.PublishAsync(other, MailSignal, "").Unawaited(logger);
                return true;
            }
        }

        return false;
    }

    private bool IsOnce(MailRecord mail) => _readers.TryGetValue(mail.Kind, out var reader) && reader.Once;

    /// <inheritdoc cref="ReadAsync(MailRecord, bool)"/>
    private Task<Task> ReadAsync(string box, MailRecord mail) => ReadAsync(mail, mayBeReadBefore: !mail.CallId.StartsWith(box + ".", StringComparison.Ordinal));

    /// <returns>Completes when it may be taken off the mailbox.</returns>
    private async Task<Task> ReadAsync(MailRecord mail, bool mayBeReadBefore)
    {
        if (!Letter.TryParse(mail.Body, out var letter) || !_readers.TryGetValue(mail.Kind, out var reader))
        {
            // From a release that knows more than this one.
            Log.NotUnderstood(logger, mail.Kind);
            return Task.CompletedTask;
        }

        try
        {
            return await reader.Read(letter, new LetterName(mail.CallId, mayBeReadBefore));
        }
        catch (Exception e) when (e is not StoreException)
        {
            // One letter's bug must not keep the others waiting.
            Log.ReaderFailed(logger, e, mail.Kind);
            return Task.CompletedTask;
        }
    }
}
