namespace Mooring.Vault;

/// <summary>What is kept of somebody's account.</summary>
/// <param name="Credential">It; null: there is none, or none that opens.</param>
/// <param name="Version">Of its row; 0: there is none.</param>
/// <param name="IsThere">Whether there is a row, whether or not it opens.</param>
internal readonly record struct KeptCredential(Credential? Credential, long Version, bool IsThere)
{
    /// <summary>Why there is no token, where there is no credential. What does not open is not gone: nothing that was opened with it ends for that.</summary>
    public Token ToNoToken() => IsThere ? new Token(TokenState.Broken, Why: "what the gateway keeps of it cannot be read") : new Token(TokenState.NotLinked);
}
