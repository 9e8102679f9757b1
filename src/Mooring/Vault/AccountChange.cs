using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>Somebody's account is another one from now on, or none.</summary>
/// <param name="Key">Whose, and where.</param>
/// <param name="Was">Which linking of it is over, empty where that was not noted; null: none was, or that cannot be told.</param>
/// <param name="Now">Which linking there is now that can be used; null: none.</param>
internal readonly record struct AccountChange(CredentialKey Key, string? Was, string? Now)
{
    /// <summary>Whether there is an account now that can be used.</summary>
    public bool IsLinked => Now is not null;

    /// <summary>Whether what is used with a linking is over with this change. What was opened since with the account of now, or with one that was linked later, is not.</summary>
    /// <param name="linking">Of what is used; null: nothing is yet.</param>
    public bool Ends(string? linking) => linking is null || (Was is null ? linking != Now : linking == Was);
}
