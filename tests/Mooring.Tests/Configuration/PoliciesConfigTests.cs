using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class PoliciesConfigTests
{
    [Fact]
    public void Policies_AllThatTheyCanSay_IsRead()
    {
        using var fixture = new ConfigFixture();

        var policies = fixture.LoadFine("""
            { "mcpServers": { "issues": { "command": "x" } },
              "policies": { "default": "deny", "rules": [
                { "groups": ["support"], "roles": "lead", "users": ["ann@example.com"], "servers": ["iss*"], "tools": ["get_*", "list"], "effect": "readOnly" } ] } }
            """).Policies;

        Assert.Equal(PolicyEffect.Deny, policies.Default);
        var rule = Assert.Single(policies.Rules);
        Assert.Equal((PolicyEffect?)PolicyEffect.ReadOnly, rule.Effect);
        Assert.Equal(["support"], rule.Groups);
        Assert.Equal(["lead"], rule.Roles);
        Assert.Equal(["ann@example.com"], rule.Users);
        Assert.Equal(["iss*"], rule.Servers);
        Assert.Equal(["get_*", "list"], rule.Tools);
    }

    [Fact]
    public void Policies_NotThere_AllowEverything() => Assert.True(new MooringConfig().Policies.IsEmpty);

    [Fact]
    public void Policies_WithMistakes_AllAreToldAtOnce()
    {
        using var fixture = new ConfigFixture();

        var result = fixture.Load("""
            { "mcpServers": { "issues": { "command": "x" } },
              "policies": { "rules": [
                { "servers": ["issue"], "effect": "allow" },
                { "servers": ["mail*"], "effect": "allow" },
                { "groups": [], "effect": "deny" },
                { "groups": ["x"] } ] } }
            """);

        Assert.Equal(
            ["policies.default", "policies.rules[0].servers[0]", "policies.rules[1].servers[0]", "policies.rules[2].groups", "policies.rules[3].effect"],
            result.Errors.Select(e => e.Path).Order(StringComparer.Ordinal));
        Assert.Contains(result.Errors, e => e.Message.Contains("did you mean \"issues\"?", StringComparison.Ordinal));
    }

    [Fact]
    public void Effect_ThatIsNone_IsTold()
    {
        using var fixture = new ConfigFixture();

        Assert.Equal("policies.rules[0].effect", fixture.LoadWrong("""{ "policies": { "default": "allow", "rules": [{ "effect": "forbid" }] } }""").Path);
    }

    [Fact]
    public void Policies_TwoThatSayTheSame_AreTheSame()
    {
        using var fixture = new ConfigFixture();
        const string text = """{ "policies": { "default": "allow", "rules": [{ "groups": ["x"], "tools": ["y"], "effect": "deny" }] } }""";
        var (one, other) = (fixture.LoadFine(text).Policies, fixture.LoadFine(text).Policies);

        Assert.True(PoliciesConfig.Same(one, other));
        Assert.False(PoliciesConfig.Same(one, fixture.LoadFine(text.Replace("\"y\"", "\"z\"")).Policies));
        Assert.False(PoliciesConfig.Same(one, new PoliciesConfig()));
    }
}
