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
        (rule.Users.Count == 0 || rule.Users.Any(person.IsCalled))
        && (rule.Groups.Count == 0 || (person.Groups ?? []).Any(group => rule.Groups.Contains(group, StringComparer.Ordinal)))
        && (rule.Roles.Count == 0 || (person.Roles ?? []).Any(role => rule.Roles.Contains(role, StringComparer.Ordinal)));

    /// <summary>As servers are called in paths.</summary>
    private static string Slug(string name) => string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '*' ? c : '-'));
}
