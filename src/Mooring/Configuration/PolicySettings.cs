namespace Mooring.Configuration;

/// <summary>The part of the table under <c>policies</c>, and what is checked of it as a whole.</summary>
internal static class PolicySettings
{
    private static readonly ListShape<string> Texts = new(new TextShape("text that is not empty", text => text.Length > 0), orOne: true);

    private static readonly ChoiceShape<PolicyEffect> Effect = new([new("allow", PolicyEffect.Allow), new("readOnly", PolicyEffect.ReadOnly), new("deny", PolicyEffect.Deny)]);

    private static readonly ObjectShape<PolicyRuleConfig> Rule = new ObjectShape<PolicyRuleConfig>(() => new())
        .Add("users", Texts, c => c.Users, (c, v) => c with { Users = v },
            "People it is for: by e-mail address where their issuer says that it is verified, as issuer#subject, or by name where they stand in auth.oauth.users or have an API key.")
        .Add("groups", Texts, c => c.Groups, (c, v) => c with { Groups = v }, "Groups whose people it is for.")
        .Add("roles", Texts, c => c.Roles, (c, v) => c with { Roles = v }, "Roles whose people it is for.")
        .Add("servers", Texts, c => c.Servers, (c, v) => c with { Servers = v }, "Servers and connectors it is for. A * stands for any text.")
        .Add("tools", Texts, c => c.Tools, (c, v) => c with { Tools = v },
            "Tools it is for, by their server's own names. A * stands for any text. Without it, or as *: all that the servers have, prompts and resources too.")
        .Add("effect", new OptionalShape<PolicyEffect>(Effect), c => c.Effect, (c, v) => c with { Effect = v },
            "What it says: allow, deny, or readOnly (tools only that declare readOnlyHint; prompts and resources are reads).");

    public static readonly ObjectShape<PoliciesConfig> Policies = new ObjectShape<PoliciesConfig>(() => new())
        .Add("default", new OptionalShape<PolicyEffect>(Effect), c => c.Default, (c, v) => c with { Default = v },
            "What holds where no rule decides. Must be said where there are rules; without rules everything is allowed.")
        .Add("rules", new ListShape<PolicyRuleConfig>(Rule), c => c.Rules, (c, v) => c with { Rules = v },
            "The first rule that is for the caller, the server and the tool decides. What a rule does not name it is for all of.");

    public static void Check(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        var node = root.Member("policies");
        var rules = node?.Member("rules");
        if (rules is { Items.Count: > 0 } && config.Policies.Default is null && node!.Member("default") is null)
        {
            reading.Error("policies.default", node.Line, "is missing; say what holds where no rule decides: \"allow\", \"readOnly\" or \"deny\".");
        }

        var known = config.Servers.Select(server => server.Name).Concat(config.Servers.Select(server => server.Slug)).Concat(config.Connectors.Select(connector => connector.Name))
            .ToHashSet(StringComparer.Ordinal);
        for (var i = 0; i < (rules?.Items.Count ?? 0); i++)
        {
            if (rules!.Items[i] is { Kind: System.Text.Json.JsonValueKind.Object } rule)
            {
                Check(rule, ConfigPath.Item("policies.rules", i), known, reading);
            }
        }
    }

    private static void Check(ConfigNode rule, string path, HashSet<string> servers, ConfigReading reading)
    {
        if (rule.Member("effect") is null or { Kind: System.Text.Json.JsonValueKind.Null })
        {
            reading.Error($"{path}.effect", rule.Line, "is missing; say \"allow\", \"readOnly\" or \"deny\".");
        }

        foreach (var key in new[] { "users", "groups", "roles", "servers", "tools" })
        {
            if (rule.Member(key) is { Kind: System.Text.Json.JsonValueKind.Array, Items.Count: 0 } empty)
            {
                // Whoever empties a list means nobody, not everybody.
                reading.Error($"{path}.{key}", empty.Line, "is empty; leave it out where the rule is for all.");
            }
        }

        if (rule.Member("servers") is not { } named)
        {
            return;
        }

        foreach (var (one, at) in named.Kind == System.Text.Json.JsonValueKind.Array
            ? named.Items.Select((item, i) => (item, ConfigPath.Item($"{path}.servers", i)))
            : [(named, $"{path}.servers")])
        {
            if (one.Kind != System.Text.Json.JsonValueKind.String || (reading.Failed && one.Text.Contains('$')) || !reading.TryExpand(one, at, out var name))
            {
                // What is wrong with the servers is to be put right first; they would all be unknown here.
                continue;
            }

            if (name.Contains('*', StringComparison.Ordinal) ? !servers.Any(new NamePattern(name).Matches) : !servers.Contains(name))
            {
                reading.Error(at, one.Line, $"names \"{name}\", which is neither in mcpServers nor in connectors{Spelling.Suggest(name, servers)}");
            }
        }
    }
}
