using Mooring.Stores;

namespace Mooring.Replicas;

/// <content>Letters: into the mailboxes of others, and out of the own one.</content>
internal sealed partial class Peers
{
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
            Log.NotPosted(logger, e, kind);
            return false;
        }
    }

    /// <summary>Puts a letter into a replica's mailbox, however long the store is away: once, also where only the store's answer was lost.</summary>
    /// <param name="to">The replica.</param>
    /// <param name="kind">Kind of letter.</param>
    /// <param name="letter">The letter.</param>
    /// <param name="cancel">Gives up; the letter may be there or not.</param>
    /// <returns>False when there is no such replica any more; then it was not posted.</returns>
    /// <exception cref="OperationCanceledException">It was given up, or this process ends.</exception>
    public async Task<bool> PostSurelyAsync(string to, string kind, Letter letter, CancellationToken cancel = default)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, cancel);
        var name = NewName();
        while (true)
        {
            try
            {
                return await PostOnceAsync(to, kind, name, letter);
            }
            catch (StoreException e)
            {
                Complain(e);
            }

            await Task.Delay(PostAgain, time, both.Token);
        }
    }

    private async Task<bool> PostOnceAsync(string to, string kind, string name, Letter letter)
    {
        if (await replicas.PostAsync(to, kind, name, letter.ToBytes()) is null)
        {
            return false;
        }

        _ = signals.PublishAsync(to, MailSignal, "");
        return true;
    }

    /// <summary>Puts a letter into the mailboxes of all others.</summary>
    public Task PostToAllAsync(string kind, Letter letter) => Task.WhenAll(_others.Select(other => PostAsync(other, kind, letter)));

    private async Task ReadMailAsync()
    {
        var (reader, after) = (_name, 0L);
        List<string> gone = [];
        while (!_stopping.IsCancellationRequested)
        {
            _mail = NewWait();
            if (reader != _name)
            {
                (reader, after) = (_name, 0);
            }

            while (_goneNews.TryDequeue(out var replica))
            {
                gone.Add(replica);
            }

            try
            {
                IReadOnlyList<MailRecord> page;
                do
                {
                    page = await replicas.ReadMailboxAsync(reader, after, Page, _stopping.Token);
                    foreach (var mail in page)
                    {
                        await ReadAsync(mail);
                        after = mail.Sequence;
                    }

                    if (page.Count > 0)
                    {
                        await replicas.AcknowledgeAsync(reader, after);
                    }
                }
                while (page.Count == Page);

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

            await PauseAsync(_hears ? LookWhileHearing : LookWhileDeaf, _mail.Task);
        }
    }

    private async Task ReadAsync(MailRecord mail)
    {
        if (!Letter.TryParse(mail.Body, out var letter) || !_readers.TryGetValue(mail.Kind, out var read))
        {
            // From a release that knows more than this one.
            Log.NotUnderstood(logger, mail.Kind);
            return;
        }

        try
        {
            await read(letter);
        }
        catch (Exception e) when (e is not StoreException)
        {
            // One letter's bug must not keep the others waiting.
            Log.ReaderFailed(logger, e, mail.Kind);
        }
    }
}
