namespace Mooring.Replicas;

/// <summary>
/// Letters to one replica that have to be read in the order in which they were written: each is posted when the one before it is in the mailbox.
/// Made by <see cref="Peers.NewQueue"/>; whoever stops waits for what is in it (<see cref="Peers.SettleAsync"/>).
/// </summary>
internal sealed class LetterQueue(Peers peers, string to)
{
    private readonly Lock _gate = new();
    private Task<bool> _last = Task.FromResult(true);

    /// <summary>
    /// Completes when all so far is in the mailbox; false when the last one never gets there, since there is no such replica any more or this
    /// process ends. Never fails.
    /// </summary>
    public Task<bool> Posted
    {
        get
        {
            lock (_gate)
            {
                return _last;
            }
        }
    }

    public void Add(string kind, Letter letter)
    {
        lock (_gate)
        {
            _last = peers.Track(PostAsync(_last, kind, letter));
        }
    }

    private async Task<bool> PostAsync(Task<bool> before, string kind, Letter letter)
    {
        await ((Task)before).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            return await peers.PostSurelyAsync(to, kind, letter);
        }
        catch (OperationCanceledException)
        {
            // The process ends. Whoever waits for it hears of that.
            return false;
        }
    }
}
