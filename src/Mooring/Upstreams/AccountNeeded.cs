namespace Mooring.Upstreams;

/// <summary>Why a request was not sent to a server: its person's token could not be had.</summary>
/// <param name="Address">Where the person links an account, his alone; null: there is nothing that he can do.</param>
/// <param name="Why">For him, in a sentence without its full stop.</param>
/// <param name="ByServer">Whether the server itself said so: then it is there.</param>
internal sealed record AccountNeeded(string? Address, string Why, bool ByServer = false)
{
    /// <summary>The account that the link was opened with is not the person's any more: nothing was sent, and the next link is of whatever account there is now.</summary>
    public static readonly AccountNeeded OfAnother = new(null, "the account that it was used with was replaced or taken away");

    // Whoever has the address can link an account in its owner's name: it is in no log.
    public override string ToString() => Why;

    public Attempt ToAttempt() => ReferenceEquals(this, OfAnother) ? new Attempt(AttemptKind.LinkOver, null, Why)
        : Address is null ? Attempt.Refused(Why) : new Attempt(AttemptKind.AccountNeeded, null, Why) { Needed = this };
}
