namespace Mooring.Vault;

/// <summary>How asking a token endpoint ended.</summary>
internal enum TokenOutcome
{
    Granted,

    /// <summary>The grant is of no use any more (<c>invalid_grant</c>): asking again will not help.</summary>
    Refused,

    /// <summary>The gateway is not known there as that client, or not any more (<c>invalid_client</c>).</summary>
    ClientRefused,

    /// <summary>Another refusal, no answer, or one that cannot be read: it may be asked again.</summary>
    Failed,

    /// <summary>Nobody was asked: it is not known any more whom.</summary>
    NotAsked,
}

/// <summary>The answer of a token endpoint.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Credential">What was granted.</param>
/// <param name="Why">Else what went wrong, without anything secret.</param>
internal readonly record struct TokenAnswer(TokenOutcome Outcome, Credential? Credential, string Why)
{
    /// <summary>The endpoint's own word for it, where it answered with one; only for comparison: it may be anything.</summary>
    public string? Error { get; init; }
}
