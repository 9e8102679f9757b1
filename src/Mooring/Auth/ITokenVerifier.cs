namespace Mooring.Auth;

/// <summary>Tells whose a token of some kind is.</summary>
internal interface ITokenVerifier
{
    /// <summary>Whether a token looks like one of its kind, and the kind is let in.</summary>
    bool Takes(string token);

    /// <summary>Changes when tokens that were good may be so no longer; -1: that cannot be known without asking each time.</summary>
    int Generation { get; }

    /// <summary>Whether the configuration in force still lets in whom a token was found to be of. Asked after each reload, without a question to anybody else.</summary>
    bool Allows(Caller caller);

    /// <summary>Tokens of the issuers of these names are remembered: what vouches for their tokens must not grow old while nothing new comes. Called once a minute; waits for nobody.</summary>
    void Remembered(IReadOnlySet<string> names);

    /// <summary>
    /// Whether it can be told now whose a token is, without keys that cannot be had. What is missing is asked for beside; nothing is verified, and nobody waits.
    /// </summary>
    bool CanTell(string token);

    /// <returns>
    /// Whose it is (<see cref="TokenFound.Good"/>); else null, with <see cref="TokenFound.Unknown"/> where it is not good, or not any more, and <see cref="TokenFound.KeysAway"/> or
    /// <see cref="TokenFound.KeysOlder"/> where that cannot be told just now.
    /// </returns>
    /// <exception cref="Stores.StoreException">The store cannot be asked just now.</exception>
    ValueTask<(Caller? Caller, TokenFound Found)> VerifyAsync(string token, CancellationToken cancel);
}
