namespace Mooring.Configuration;

/// <summary>What a rule says of what it is for, from the widest to the narrowest.</summary>
public enum PolicyEffect
{
    Allow,

    /// <summary>Tools only that say of themselves that they change nothing (<c>readOnlyHint</c>); prompts and resources are reads.</summary>
    ReadOnly,

    Deny,
}

/// <summary>Who may use what. The first rule that is for the caller, the server and the tool decides.</summary>
public sealed record PoliciesConfig
{
    /// <summary>Where no rule decides; null: everything is allowed, as there are no rules.</summary>
    public PolicyEffect? Default { get; init; }

    /// <summary>In the order in which they are asked.</summary>
    public IReadOnlyList<PolicyRuleConfig> Rules { get; init; } = [];

    internal bool IsEmpty => Rules.Count == 0 && Default is null or PolicyEffect.Allow;

    /// <summary>Whether two say the same; records compare their lists by reference.</summary>
    internal static bool Same(PoliciesConfig a, PoliciesConfig b) =>
        a.Default == b.Default && a.Rules.Count == b.Rules.Count && a.Rules.Zip(b.Rules).All(pair => PolicyRuleConfig.Same(pair.First, pair.Second));
}

/// <summary>One rule. What it does not name it is for all of; each list that it has must have one that fits.</summary>
public sealed record PolicyRuleConfig
{
    /// <summary>People: by verified e-mail address, as <c>issuer#subject</c>, or by name where they are of the configuration or of an API key.</summary>
    public IReadOnlyList<string> Users { get; init; } = [];

    public IReadOnlyList<string> Groups { get; init; } = [];

    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Names of servers and connectors; <c>*</c> stands for any text.</summary>
    public IReadOnlyList<string> Servers { get; init; } = [];

    /// <summary>Tools by their servers' own names; <c>*</c> stands for any text. Empty, or <c>*</c>: all that the servers have, prompts and resources too.</summary>
    public IReadOnlyList<string> Tools { get; init; } = [];

    /// <summary>Null only where the file forgot it, which is an error.</summary>
    public PolicyEffect? Effect { get; init; }

    internal static bool Same(PolicyRuleConfig a, PolicyRuleConfig b) =>
        a.Effect == b.Effect && a.Users.SequenceEqual(b.Users) && a.Groups.SequenceEqual(b.Groups) && a.Roles.SequenceEqual(b.Roles)
        && a.Servers.SequenceEqual(b.Servers) && a.Tools.SequenceEqual(b.Tools);
}
