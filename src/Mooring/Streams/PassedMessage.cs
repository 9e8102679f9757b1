namespace Mooring.Streams;

/// <summary>
/// A message of which something stays in the store until it is kept: where another replica passed it on its letter, in this one's mailbox; of a call of HTTP+SSE its record. No
/// earlier, or it goes with this process, and no second time.
/// </summary>
/// <param name="name">Of its letter.</param>
/// <param name="mayBeThere">Whether a replica before this one may have put it into the log.</param>
internal sealed class PassedMessage(string name, bool mayBeThere)
{
    private readonly TaskCompletionSource _kept = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Of the letter.</summary>
    public string Name => name;

    /// <summary>What the log knows it by: no JSON token, as the ids of requests are.</summary>
    public string Key { get; } = "say:" + name;

    /// <summary>How often it was passed on before it came here.</summary>
    public int Hops { get; set; }

    /// <summary>Whether a client waits for it: it is not dropped for want of room, as long as no more wait than may be asked for at once.</summary>
    public bool IsAnswer { get; init; }

    /// <summary>Whether the log has to be asked first.</summary>
    public bool MayBeThere { get; set; } = mayBeThere;

    /// <summary>Completes when nothing more is lost with this process: it is in the log, on its way to whoever listens, in the next one's mailbox, or it is not to be kept.</summary>
    public Task Kept => _kept.Task;

    public void IsKept() => _kept.TrySetResult();
}
