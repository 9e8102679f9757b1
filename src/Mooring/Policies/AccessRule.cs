using Mooring.Auth;
using Mooring.Configuration;

namespace Mooring.Policies;

/// <summary>One rule, ready to be asked.</summary>
internal sealed class AccessRule(PolicyRuleConfig rule)
{
    private readonly NamePattern[] _servers = [.. rule.Servers.Select(name => new NamePattern(Slug(name)))];

    public PolicyEffect Effect { get; } = rule.Effect ?? PolicyEffect.Deny;

    /// <summary>Empty: the rule is for all that a server has.</summary>
    public IReadOnlyList<NamePattern> Tools { get; } = rule.Tools.Contains("*") ? [] : [.. rule.Tools.Select(name => new NamePattern(name))];

    public bool IsForServer(string server) => _servers.Length == 0 || Array.Exists(_servers, pattern => pattern.Matches(server));

    public bool IsForTool(string tool) => Tools.Count == 0 || Tools.Any(pattern => pattern.Matches(tool));

    public bool IsFor(Person person) =>
        (rule.Users.Count == 0 || rule.Users.Any(user => Is(person, user)))
        && (rule.Groups.Count == 0 || (person.Groups ?? []).Any(group => rule.Groups.Contains(group, StringComparer.Ordinal)))
        && (rule.Roles.Count == 0 || (person.Roles ?? []).Any(role => rule.Roles.Contains(role, StringComparer.Ordinal)));

    /// <summary>A subject alone names nobody of another issuer: each has its own.</summary>
    private static bool Is(Person person, string user) =>
        (person.Issuer is Person.OfConfiguration or Person.OfApiKeys && user == person.Subject)
        || user == $"{person.Issuer}#{person.Subject}"
        // What the configuration says of its own people nobody has verified, and it names them anyway.
        || (person.Email is { } email && person.Issuer != Person.OfConfiguration && string.Equals(user, email, StringComparison.OrdinalIgnoreCase));

    /// <summary>As servers are called in paths.</summary>
    private static string Slug(string name) => string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '*' ? c : '-'));
}
