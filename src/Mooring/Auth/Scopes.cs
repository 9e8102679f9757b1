using Mooring.Configuration;

namespace Mooring.Auth;

/// <summary>What a token may be used for.</summary>
internal static class Scopes
{
    /// <summary>To talk to the servers behind the gateway.</summary>
    public const string Use = "mcp";

    /// <summary>To see and steer the gateway itself; whoever has it has <see cref="Use"/> too.</summary>
    public const string Admin = "admin";

    public static readonly IReadOnlyList<string> All = [Use, Admin];

    /// <summary>Words separated by blanks (RFC 6749, 3.3).</summary>
    public static IReadOnlyList<string> Parse(string? text) =>
        text is null ? [] : [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal)];

    /// <summary>What a client must ask its authorization server for: where only other issuers give out tokens, in their words. Empty where they have none for it.</summary>
    public static IReadOnlyList<string> Words(AuthConfig config, string scope) => config.Has(AuthMode.OAuth)
        ? [scope]
        : [.. config.Jwt.Select(issuer => scope == Admin ? issuer.AdminScope : issuer.RequiredScope).OfType<string>().Distinct(StringComparer.Ordinal)];

    public static bool Covers(IReadOnlyList<string> granted, string needed) => granted.Contains(needed) || (needed == Use && granted.Contains(Admin));

    /// <summary>
    /// Whether somebody is an administrator by the configuration. A subject alone names nobody: each issuer has its own. An address alone, or a group, is believed of every issuer that
    /// the configuration names.
    /// </summary>
    public static bool IsAdmin(AuthConfig config, Person person) =>
        config.AdminUsers.Any(name => person.Issuer == Person.OfConfiguration ? name == person.Subject : person.IsNamedInFull(name))
        || (person.Email is { } email && config.AdminUsers.Contains(email, StringComparer.OrdinalIgnoreCase))
        || (person.Groups ?? []).Any(group => config.AdminGroups.Contains(group, StringComparer.Ordinal));
}
