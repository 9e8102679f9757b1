using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class EnvironmentOverridesTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    private ConfigResult Load(string json, params (string Name, string Value)[] variables)
    {
        foreach (var (name, value) in variables)
        {
            _fixture.Environment[name] = value;
        }

        return _fixture.Load(json);
    }

    [Theory]
    [InlineData("MOORING_KeepAlive__Interval")]
    [InlineData("MOORING_KEEPALIVE__INTERVAL")]
    [InlineData("mooring_keepalive__interval")]
    public void Variable_InAnyCase_WinsOverTheFile(string name) =>
        Assert.Equal(TimeSpan.FromSeconds(10), Load("""{ "keepAlive": { "interval": "5s" }, "connectors": {} }""", (name, "10s")).Config!.KeepAlive.Interval);

    [Fact]
    public void List_FromVariable_IsSplitAtCommasAndExtendedByIndex() =>
        Assert.Equal(
            ["https://a.example.com", "https://b.example.com", "https://c.example.com"],
            Load("""{ "origins": ["https://old.example.com"], "connectors": {} }""",
                ("MOORING_Origins__2", "https://c.example.com"),
                ("MOORING_Origins", "https://a.example.com, https://b.example.com")).Config!.Origins);

    [Fact]
    public void List_IndexPastTheEnd_IsAnError() =>
        Assert.Equal("MOORING_Origins__5", Assert.Single(Load("""{ "connectors": {} }""", ("MOORING_Origins__5", "x")).Errors).Path);

    [Fact]
    public void Map_FromVariables_ReachesExistingAndNewEntries()
    {
        var servers = Load("""{ "mcpServers": { "Git-Hub": { "url": "http://old/mcp" } } }""",
            ("MOORING_McpServers__git_hub__Url", "http://new/mcp"),
            ("MOORING_McpServers__git_hub__Headers__X-Key", "k"),
            ("MOORING_McpServers__local__Command", "npx"),
            ("MOORING_McpServers__local__Args", """["-y", "a,b"]"""),
            ("MOORING_McpServers__local__Env", """{ "A": "1" }""")).Config!.Servers;

        Assert.Equal(("Git-Hub", "http://new/mcp", "k"), (servers[0].Name, servers[0].Url!.OriginalString, servers[0].Headers["X-Key"]));
        Assert.Equal(("local", "npx", "1"), (servers[1].Name, servers[1].Command, servers[1].Env["A"]));
        Assert.Equal(["-y", "a,b"], servers[1].Args);
    }

    [Fact]
    public void Connector_FromVariables_KeepsTypes()
    {
        var settings = Load("{}",
            ("MOORING_Connectors__docs__path", "pages"),
            ("MOORING_Connectors__docs__include", """["*.md"]"""),
            ("MOORING_Connectors__docs__maxFileSize", "4096")).Config!.Connectors[0].Settings;

        Assert.Equal(Path.Combine(_fixture.Folder, "pages"), (string?)settings["path"]);
        Assert.Equal("*.md", (string?)settings["include"]![0]);
        Assert.Equal(4096, (int?)settings["maxFileSize"]);
    }

    [Theory]
    [InlineData("MOORING_KeepAlive__Intervall", "names no setting: \"Intervall\" is unknown; did you mean \"interval\"?")]
    [InlineData("MOORING_KeepAlive__Interval__X", "names no setting: \"X\" is unknown.")]
    [InlineData("MOORING_Wibble__X", "names no setting: \"Wibble\" is unknown.")]
    public void Variable_NamesNoSetting_IsAnError(string name, string message)
    {
        var problem = Assert.Single(Load("""{ "connectors": {} }""", (name, "1")).Errors);

        Assert.Equal((name, message), (problem.Path, problem.Message));
    }

    [Fact]
    public void Variable_WithBadValue_SaysTheSetting() =>
        Assert.Equal("keepAlive.interval", Assert.Single(Load("""{ "connectors": {} }""", ("MOORING_KeepAlive__Interval", "soon")).Errors).Path);

    [Fact]
    public void Variable_ForASectionWithoutJson_IsAnError() =>
        Assert.Contains("MOORING_KeepAlive", Assert.Single(Load("""{ "connectors": {} }""", ("MOORING_KeepAlive", "10s")).Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void Variable_WithBrokenJson_IsAnErrorThatNamesIt() =>
        Assert.StartsWith("MOORING_Origins is not valid JSON", Load("""{ "connectors": {} }""", ("MOORING_Origins", "[")).Errors.First().Message, StringComparison.Ordinal);

    [Fact]
    public void Variable_OfAPartNotBuilt_IsRefused() =>
        Assert.Equal(
            "mcpServers.one.headersHelper",
            Assert.Single(Load("""{ "mcpServers": { "one": { "url": "http://one.test/mcp" } } }""", ("MOORING_McpServers__One__HeadersHelper", "x")).Errors).Path);

    [Fact]
    public void Variables_OfAKubernetesService_AreIgnored() =>
        Assert.Empty(Load("""{ "connectors": {} }""",
            ("MOORING_PORT", "tcp://10.0.0.1:80"), ("MOORING_SERVICE_HOST", "10.0.0.1"), ("MOORING_PORT_80_TCP_ADDR", "10.0.0.1")).Problems);

    [Fact]
    public void Variable_UnknownWithoutLevels_IsAWarning() =>
        Assert.Equal("names no setting; did you mean \"logLevel\"?",
            Assert.Single(Load("""{ "connectors": {} }""", ("MOORING_LOGLEVL", "debug")).Warnings).Message);
}
