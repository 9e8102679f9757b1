namespace Mooring.Vault;

/// <summary>Where one person's token for one server comes from. None of them throws because of the store or a provider: that is a state of the token.</summary>
internal interface IPersonTokens
{
    /// <summary>A token that can be sent now, or why there is none.</summary>
    Task<Token> GetAsync(CancellationToken cancel);

    /// <summary>The server did not take this one: another, or why there is none.</summary>
    Task<Token> RenewAsync(string refused, CancellationToken cancel);
}
