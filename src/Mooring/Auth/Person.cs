namespace Mooring.Auth;

/// <summary>Somebody, as whoever vouches for them says.</summary>
/// <param name="Issuer">Who vouches: an issuer's address, or a word of the gateway's own.</param>
/// <param name="Subject">Which of the issuer's people; never changes for one of them.</param>
/// <param name="Name">For people to read.</param>
/// <param name="Email">Only where the issuer says that it is verified.</param>
/// <param name="Groups">As the issuer names them.</param>
internal sealed record Person(string Issuer, string Subject, string? Name = null, string? Email = null, IReadOnlyList<string>? Groups = null)
{
    /// <summary>The issuer of API keys: whoever makes them says whose they are.</summary>
    public const string OfApiKeys = "mooring:key";

    /// <summary>The issuer of people that stand in the configuration.</summary>
    public const string OfConfiguration = "mooring:user";

    /// <summary>What they are called where one of them is shown.</summary>
    public string Shown => Email ?? Name ?? Subject;
}
