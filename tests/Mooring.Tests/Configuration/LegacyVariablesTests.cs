using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class LegacyVariablesTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    private ConfigResult Load(params (string Name, string Value)[] variables)
    {
        foreach (var (name, value) in variables)
        {
            _fixture.Environment[name] = value;
        }

        return _fixture.Load("""{ "connectors": {} }""");
    }

    [Theory]
    [InlineData("8080", null, "http://127.0.0.1:8080")]
    [InlineData(null, "localhost", "http://localhost:3000")]
    [InlineData("8080", "::1", "http://[::1]:8080")]
    public void PortAndHost_Alone_AreTheAddress(string? port, string? host, string address)
    {
        var result = Load([.. new[] { ("PORT", port), ("HOST", host) }.Where(v => v.Item2 is not null).Select(v => (v.Item1, v.Item2!))]);

        Assert.Equal([address], result.Config!.Listen);
        Assert.Contains("older name of \"listen\"; in use", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Host_Open_KeepsTheAuthRule() =>
        Assert.Contains("auth.allowAnonymous", Assert.Single(Load(("HOST", "0.0.0.0")).Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void Host_IsAMachineName_IsWarnedAboutAndIgnored()
    {
        var result = Load(("HOST", "x86_64-conda-linux-gnu"));

        Assert.Equal("HOST", Assert.Single(result.Warnings).Path);
        Assert.Equal(new MooringConfig().Listen, result.Config!.Listen);
    }

    [Fact]
    public void Port_NotANumber_IsAnError() => Assert.Equal("listen[0]", Assert.Single(Load(("PORT", "http")).Errors).Path);

    [Fact]
    public void Values_OfOlderDeployments_AreConverted()
    {
        var result = Load(
            ("SSE_KEEPALIVE_INTERVAL", "15000"), ("REQUEST_TIMEOUT", "300000"), ("LOG_LEVEL", "warn"),
            ("ALLOWED_ORIGINS", "https://a.example.com,https://b.example.com"), ("BASE_URL", "https://mcp.example.com"));

        var config = result.Config!;
        Assert.Equal(TimeSpan.FromSeconds(15), config.KeepAlive.Interval);
        Assert.Equal(TimeSpan.FromMinutes(5), config.Calls.Deadline);
        Assert.Equal("warning", config.LogLevel);
        Assert.Equal(["https://a.example.com", "https://b.example.com"], config.Origins);
        Assert.Equal("https://mcp.example.com/", config.PublicUrl!.AbsoluteUri);
        Assert.Equal(5, result.Notes.Count);
        Assert.Equal("SSE_KEEPALIVE_INTERVAL", result.OriginOf("keepAlive.interval"));
    }

    [Fact]
    public void Values_WrittenInTheFileToo_AreIgnoredWithANote()
    {
        _fixture.Environment["SSE_KEEPALIVE_INTERVAL"] = "5000";

        var result = _fixture.Load("""{ "keepAlive": { "interval": "20s" }, "connectors": {} }""");

        Assert.Equal(TimeSpan.FromSeconds(20), result.Config!.KeepAlive.Interval);
        Assert.Contains("ignored", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Values_OfPartsNotBuilt_AreEachWarnedAboutWithoutTheirValue()
    {
        var result = Load(
            ("GOOGLE_CLIENT_SECRET", "hunter2"), ("HUBSPOT_CLIENT_ID", "hunter2"), ("SLACK_CLIENT_ID", "hunter2"),
            ("SESSION_SECRET", "hunter2"), ("DYNAMODB_TABLE_NAME", "hunter2"), ("KMS_KEY_ID", "hunter2"), ("SERVICENOW_PASSWORD", "hunter2"));

        Assert.NotNull(result.Config);
        Assert.Equal(
            ["DYNAMODB_TABLE_NAME", "GOOGLE_CLIENT_SECRET", "HUBSPOT_CLIENT_ID", "KMS_KEY_ID", "SERVICENOW_PASSWORD", "SESSION_SECRET", "SLACK_CLIENT_ID"],
            result.Warnings.Select(w => w.Path));
        Assert.All(result.Warnings, w => Assert.DoesNotContain("hunter2", w.Message, StringComparison.Ordinal));
    }
}
