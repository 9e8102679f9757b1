namespace Mooring.Vault;

/// <summary>Words of providers, made fit for logs and pages.</summary>
internal static class OAuthText
{
    /// <summary>An error code as the specification allows it, short; anything else is not repeated.</summary>
    public static string Word(string error) =>
        error.Length is > 0 and <= 64 && error.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') ? error : "an error that is no word";
}
