using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>Somebody's account is another one from now on, or none.</summary>
/// <param name="Key">Whose, and where.</param>
/// <param name="IsLinked">Whether there is one now that can be used.</param>
internal readonly record struct AccountChange(CredentialKey Key, bool IsLinked);
