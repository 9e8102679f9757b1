namespace Mooring.Vault;

/// <summary>
/// The keys that the store's rows are sealed with cannot be had, and trying again will not help: somebody has to bring the right key. The
/// gateway does not start then, and never makes a new one in their place.
/// </summary>
internal sealed class VaultKeyException(string message, Exception? inner = null) : Exception(message, inner);
