namespace Mooring.Vault;

/// <summary>Whether there is a token to be sent.</summary>
internal enum TokenState
{
    Usable,

    /// <summary>The person has never linked this provider.</summary>
    NotLinked,

    /// <summary>The provider takes what it gave before for nothing: the person has to link again.</summary>
    Broken,

    /// <summary>It is out of date, and the provider cannot be asked for another just now.</summary>
    Unavailable,
}

/// <summary>A person's token for one provider, or why there is none.</summary>
/// <param name="State">Which of both.</param>
/// <param name="Value">The token, to be sent and nothing else.</param>
/// <param name="Why">For a person, without anything secret.</param>
internal readonly record struct Token(TokenState State, string? Value = null, string Why = "")
{
    /// <summary>Which linking of an account it comes from; null where that is not known, or it comes from none.</summary>
    public string? Link { get; init; }

    /// <summary>That of an account, as it stands in the store.</summary>
    public static Token Of(Credential credential) => credential.Broken is { } word
        ? new Token(TokenState.Broken, Why: $"the provider does not renew its token: {word}")
        : new Token(TokenState.Usable, credential.AccessToken) { Link = credential.Link };

    public override string ToString() => State.ToString();
}
