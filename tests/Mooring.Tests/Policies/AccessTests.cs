using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Policies;
using Xunit;

namespace Mooring.Tests.Policies;

/// <summary>Rules alone: which of them is for whom and for what, and which decides.</summary>
public sealed class AccessTests
{
    private static readonly Person Ann = new("https://issuer.test", "ann", Email: "ann@example.com", Groups: ["support", "staff"], Roles: ["lead"]);

    [Fact]
    public void Rules_TheFirstThatFits_Decides()
    {
        var access = Of(Ann, PolicyEffect.Deny,
            Rule(PolicyEffect.Deny, tools: ["delete_*"]),
            Rule(PolicyEffect.ReadOnly, servers: ["mail"]),
            Rule(PolicyEffect.Allow));

        Assert.Equal(PolicyEffect.Deny, access.ToTool("issues", "delete_issue"));
        Assert.Equal(PolicyEffect.Allow, access.ToTool("issues", "close_issue"));
        Assert.Equal(PolicyEffect.ReadOnly, access.ToTool("mail", "send"));
        Assert.Equal(PolicyEffect.ReadOnly, access.To("mail"));
        Assert.Equal(PolicyEffect.Allow, access.To("issues"));
    }

    [Fact]
    public void Rules_NoneFits_TheDefaultDecides()
    {
        Assert.Equal(PolicyEffect.Deny, Of(Ann, PolicyEffect.Deny, Rule(PolicyEffect.Allow, servers: ["mail"])).ToTool("issues", "x"));
        Assert.Equal(PolicyEffect.Allow, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["mail"])).ToTool("issues", "x"));
        Assert.Equal(PolicyEffect.ReadOnly, Of(Ann, PolicyEffect.ReadOnly).ToTool("issues", "x"));
    }

    [Theory]
    [InlineData("ann@example.com", true)]
    [InlineData("ANN@example.com", true)]
    [InlineData("https://issuer.test#ann", true)]
    [InlineData("ann", false)]
    [InlineData("https://issuer.test#ANN@example.com", true)]
    [InlineData("https://other.test#ann", false)]
    [InlineData("https://other.test#ann@example.com", false)]
    public void User_IsNamed_ByVerifiedAddressOrIssuerAndSubject(string user, bool isFor) =>
        Assert.Equal(isFor ? PolicyEffect.Allow : PolicyEffect.Deny, Of(Ann, PolicyEffect.Deny, Rule(PolicyEffect.Allow, users: [user])).To("x"));

    [Theory]
    [InlineData(Person.OfConfiguration, true)]
    [InlineData(Person.OfApiKeys, true)]
    [InlineData("https://issuer.test", false)]
    public void User_OfTheGatewaysOwn_IsNamedByNameAlone(string issuer, bool isFor) =>
        Assert.Equal(isFor ? PolicyEffect.Allow : PolicyEffect.Deny, Of(new Person(issuer, "ann"), PolicyEffect.Deny, Rule(PolicyEffect.Allow, users: ["ann"])).To("x"));

    [Fact]
    public void User_OfTheConfiguration_IsNotNamedByAnAddressThatNobodyVerified() =>
        Assert.Equal(PolicyEffect.Deny, Of(new Person(Person.OfConfiguration, "eve", Email: "boss@example.com"), PolicyEffect.Deny, Rule(PolicyEffect.Allow, users: ["boss@example.com"])).To("x"));

    [Theory]
    [InlineData("support", null, true)]
    [InlineData("Support", null, false)]
    [InlineData("sales", null, false)]
    [InlineData(null, "lead", true)]
    [InlineData(null, "support", false)]
    [InlineData("support", "lead", true)]
    [InlineData("support", "boss", false)]
    public void GroupsAndRoles_EachListThatIsThere_MustHaveOneThatFits(string? group, string? role, bool isFor) =>
        Assert.Equal(isFor ? PolicyEffect.Allow : PolicyEffect.Deny, Of(Ann, PolicyEffect.Deny, Rule(PolicyEffect.Allow, groups: group is null ? [] : ["x", group], roles: role is null ? [] : [role])).To("x"));

    [Fact]
    public void RulesOfGroups_AreForNobodyWithoutGroups_AndRulesWithoutAreForEverybody()
    {
        Assert.Equal(PolicyEffect.Deny, Of(Person.Nobody, PolicyEffect.Deny, Rule(PolicyEffect.Allow, groups: ["support"])).To("x"));
        Assert.Equal(PolicyEffect.Allow, Of(Person.Nobody, PolicyEffect.Deny, Rule(PolicyEffect.Allow)).To("x"));
    }

    [Fact]
    public void RuleOfTools_SaysNothingOfPromptsAndResources_UnlessItIsForAllTools()
    {
        Assert.Equal(PolicyEffect.Allow, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, tools: ["x*", "*y"])).To("a"));
        Assert.Equal(PolicyEffect.Deny, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, tools: ["x", "*"])).To("a"));
    }

    [Fact]
    public void Server_OfWhichNothingMayBeUsed_IsHidden()
    {
        Assert.True(Of(Ann, PolicyEffect.Deny).Hides("a"));
        Assert.True(Of(Ann, PolicyEffect.Deny, Rule(PolicyEffect.Deny, tools: ["x"])).Hides("a"));
        Assert.False(Of(Ann, PolicyEffect.Deny, Rule(PolicyEffect.Allow, tools: ["x"])).Hides("a"));
        Assert.False(Of(Ann, PolicyEffect.ReadOnly).Hides("a"));
        Assert.False(Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["b"])).Hides("a"));
    }

    [Fact]
    public void Servers_AreNamedAsInTheFileOrAsInPaths()
    {
        Assert.Equal(PolicyEffect.Deny, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["my server"])).To("my-server"));
        Assert.Equal(PolicyEffect.Deny, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["my-*"])).To("my-server"));
        Assert.Equal(PolicyEffect.Allow, Of(Ann, PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["my"])).To("my-server"));
    }

    [Theory]
    [InlineData("x", "x", true)]
    [InlineData("x", "X", false)]
    [InlineData("*", "", true)]
    [InlineData("a*", "a", true)]
    [InlineData("a*", "ba", false)]
    [InlineData("*a", "ba", true)]
    [InlineData("*a", "ab", false)]
    [InlineData("a*a", "a", false)]
    [InlineData("a*a", "aa", true)]
    [InlineData("a*b*c", "a1b2c", true)]
    [InlineData("a*b*c", "a1c2b", false)]
    [InlineData("*b*b*", "abab", true)]
    [InlineData("*b*b*", "ab", false)]
    [InlineData("a.c", "abc", false)]
    public void Pattern_StarsStandForAnyText(string pattern, string name, bool matches) => Assert.Equal(matches, new NamePattern(pattern).Matches(name));

    private static Access Of(Person person, PolicyEffect otherwise, params PolicyRuleConfig[] rules) =>
        new PolicyTable(new ConfigStore(new MooringConfig { Policies = new PoliciesConfig { Default = otherwise, Rules = rules } }, "")).Of(person);

    private static PolicyRuleConfig Rule(PolicyEffect effect, string[]? users = null, string[]? groups = null, string[]? roles = null, string[]? servers = null, string[]? tools = null) =>
        new() { Effect = effect, Users = users ?? [], Groups = groups ?? [], Roles = roles ?? [], Servers = servers ?? [], Tools = tools ?? [] };
}
