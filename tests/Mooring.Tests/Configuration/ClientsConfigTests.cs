using System.Text;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

/// <summary>Profiles of clients: the data that comes with the gateway, what the configuration puts over it, and how mistakes are told.</summary>
public sealed class ClientsConfigTests
{
    [Fact]
    public void Data_EveryQuirk_HasASourceAndEitherASettingOrWhatIsDoneForAll()
    {
        Assert.Matches("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", ClientProfiles.DataVersion);
        Assert.NotEmpty(ClientProfiles.BuiltIn);
        Assert.Equal(ClientProfiles.BuiltIn.Count, ClientProfiles.BuiltIn.Select(p => p.Config.Name).Distinct().Count());
        foreach (var quirk in ClientProfiles.BuiltIn.SelectMany(p => p.Quirks))
        {
            Assert.StartsWith("https://", quirk.Source);
            Assert.True(quirk.Set is null != quirk.Always is null && quirk.Set is null == quirk.To is null, quirk.What);
        }
    }

    [Fact]
    public void Document_InTheCheckout_IsInStepWithTheData()
    {
        const string Open = "<!-- profiles -->\n";
        const string Close = "<!-- end of profiles -->";
        var file = Path.Combine(Root(), "docs", "client-profiles.md");
        var text = File.ReadAllText(file);
        var (from, to) = (text.IndexOf(Open, StringComparison.Ordinal) + Open.Length, text.IndexOf(Close, StringComparison.Ordinal));
        var written = Table();
        if (Environment.GetEnvironmentVariable("WRITE_SCHEMA") == "1")
        {
            File.WriteAllText(file, text[..from] + written + text[to..]);
            return;
        }

        Assert.True(text[from..to] == written, "docs/client-profiles.md is out of step; run this test with WRITE_SCHEMA=1 and commit it.");
    }

    [Fact]
    public void Configuration_ChangesOneSettingOfAKnownProfile_AndLeavesTheRest()
    {
        using var fixture = new ConfigFixture();
        var profiles = ClientProfiles.Of(fixture.LoadFine("""{ "connectors": {}, "clients": { "claude.ai": { "missingSession": "notFound" } } }"""));

        var traits = profiles.OfAgent("Claude-User/1.0");
        Assert.Equal((MissingSessionRule.NotFound, SessionlessGetRule.Refuse), (traits.MissingSession, traits.GetWithoutSession));
        Assert.Equal(ClientTraits.Usual, profiles.OfAgent("curl/8"));
        Assert.Equal(TimeSpan.FromMinutes(1), profiles.OfClient("claude-code", "2.1").ProgressEvery);
    }

    [Theory]
    [InlineData("1.9.9", false)]
    [InlineData("1.10", false)]
    [InlineData("2", true)]
    [InlineData("2.0.1-beta.3", true)]
    [InlineData("nightly", true)]
    [InlineData(null, true)]
    public void Configuration_ProfileWithVersions_CountsWithinThem(string? version, bool primer)
    {
        using var fixture = new ConfigFixture();
        var profiles = ClientProfiles.Of(fixture.LoadFine("""{ "connectors": {}, "clients": { "ours": { "names": "our-app", "versions": ">=1.2 <2", "primer": false } } }"""));

        Assert.Equal(primer, profiles.OfClient("Our-App", version).Primer);
    }

    [Fact]
    public void Configuration_TwoProfilesFit_EachSettingIsThatOfTheFirstThatHasIt()
    {
        using var fixture = new ConfigFixture();
        var profiles = ClientProfiles.Of(fixture.LoadFine(
            """{ "connectors": {}, "clients": { "a": { "names": ["claude-code"], "primer": false }, "b": { "names": ["claude-code"], "primer": true, "progressEvery": "off" } } }"""));

        var traits = profiles.OfClient("claude-code", "1");
        Assert.Equal((false, TimeSpan.Zero), (traits.Primer, traits.ProgressEvery));
    }

    [Theory]
    [InlineData("""{ "ours": { "primer": false } }""", "clients.ours", "is none of the clients that come with the gateway, so it needs \"names\" (clientInfo.name) or \"userAgents\".")]
    [InlineData("""{ "claude.ia": { "primer": false } }""", "clients[\"claude.ia\"]", "did you mean \"claude.ai\"?")]
    [InlineData("""{ "cursor": { "primer": "maybe" } }""", "clients.cursor.primer", "must be true or false, not \"maybe\".")]
    [InlineData("""{ "cursor": { "missingSession": "allow" } }""", "clients.cursor.missingSession", "must be \"refuse\" or \"notFound\" or \"serve\", not \"allow\".")]
    [InlineData("""{ "cursor": { "versions": "1.x" } }""", "clients.cursor.versions", "must be bounds of a version such as <2, >=1.2 or >=1.2 <2, not \"1.x\".")]
    [InlineData("""{ "cursor": { "progressEvery": "10ms" } }""", "clients.cursor.progressEvery", "must be off, or a duration from 1s to 10m")]
    [InlineData("""{ "cursor": { "primers": false } }""", "clients.cursor.primers", "is not a setting; did you mean \"primer\"?")]
    public void Configuration_Wrong_IsToldWithItsPlace(string clients, string path, string message)
    {
        using var fixture = new ConfigFixture();
        var problem = fixture.LoadWrong($$"""{ "connectors": {}, "clients": {{clients}} }""");

        Assert.Equal(path, problem.Path);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    private static string Table()
    {
        var table = new StringBuilder($"\nData of {ClientProfiles.DataVersion}.\n");
        foreach (var (config, about, quirks) in ClientProfiles.BuiltIn)
        {
            table.Append($"\n### {config.Name}\n\n{about}");
            table.Append(config.Names is { Count: > 0 } names ? $" Known by {string.Join(", ", names.Select(n => $"`{n}`"))}" : "");
            table.Append(config.UserAgents is { Count: > 0 } agents ? $", and by the user agent {string.Join(", ", agents.Select(n => $"`{n}`"))}" : "");
            table.Append(config.Versions is { } versions ? $", versions `{versions}`" : "").Append(config.Names is { Count: > 0 } ? ".\n" : "\n");
            table.Append("\n| what it does | what the gateway does | source |\n|---|---|---|\n");
            foreach (var quirk in quirks)
            {
                table.Append($"| {quirk.What} | {(quirk.Set is null ? "For all: " + quirk.Always : $"`{quirk.Set}`: `{quirk.To}`")} | [{Short(quirk.Source)}]({quirk.Source}) |\n");
            }
        }

        return table.Append('\n').ToString();
    }

    /// <summary>As people name a thread of a repository.</summary>
    private static string Short(string source)
    {
        var parts = new Uri(source).AbsolutePath.Trim('/').Split('/');
        return $"{parts[1]} #{parts[^1]}";
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Mooring.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside a checkout.");
        }

        return folder.FullName;
    }
}
