using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>The token of an account that a person has linked.</summary>
internal sealed class LinkedTokens(Tokens tokens, CredentialKey key) : IPersonTokens
{
    private static readonly Token StoreAway = new(TokenState.Unavailable, Why: "the gateway's store is not reachable");

    public async Task<Token> GetAsync(SubjectToken? shown, CancellationToken cancel)
    {
        try
        {
            return await tokens.GetAsync(key, cancel);
        }
        catch (StoreException)
        {
            return StoreAway;
        }
    }

    public async Task<Token> RenewAsync(SubjectToken? shown, string refused, CancellationToken cancel)
    {
        try
        {
            return await tokens.RenewAsync(key, refused, cancel);
        }
        catch (StoreException)
        {
            return StoreAway;
        }
    }
}
