namespace Mooring.Upstreams;

/// <summary>Why a request was not sent to a server: its person's token could not be had.</summary>
/// <param name="Address">Where the person links an account, his alone; null: there is nothing that he can do.</param>
/// <param name="Why">For him, in a sentence without its full stop.</param>
/// <param name="ByServer">Whether the server itself said so: then it is there.</param>
internal sealed record AccountNeeded(string? Address, string Why, bool ByServer = false)
{
    // Whoever has the address can link an account in its owner's name: it is in no log.
    public override string ToString() => Why;

    public Attempt ToAttempt() => Address is null ? Attempt.Refused(Why) : new Attempt(AttemptKind.AccountNeeded, null, Why) { Needed = this };
}
