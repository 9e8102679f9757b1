namespace Mooring.Vault;

/// <summary>Where one person's token for one server comes from. None of them throws because of the store or a provider: that is a state of the token.</summary>
internal interface IPersonTokens
{
    /// <summary>A token that can be sent now, or why there is none.</summary>
    /// <param name="shown">What the request shows for which it is; null: nothing that could be exchanged.</param>
    /// <param name="cancel">Gives up.</param>
    Task<Token> GetAsync(SubjectToken? shown, CancellationToken cancel);

    /// <summary>The server did not take this one: another, or why there is none.</summary>
    /// <param name="shown">As in <see cref="GetAsync"/>.</param>
    /// <param name="refused">The token.</param>
    /// <param name="cancel">Gives up.</param>
    Task<Token> RenewAsync(SubjectToken? shown, string refused, CancellationToken cancel);
}
