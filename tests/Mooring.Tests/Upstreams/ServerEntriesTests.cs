using Mooring.Configuration;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Upstreams;

public sealed class ServerEntriesTests
{
    private static readonly ServerConfig Full = new()
    {
        Name = "a",
        Transport = ServerTransport.Stdio,
        Command = "run",
        Args = ["1", "2"],
        Env = new Dictionary<string, string> { ["A"] = "1", ["B"] = "2" },
        Headers = new Dictionary<string, string> { ["H"] = "1" },
        Tools = new Dictionary<string, ToolConfig> { ["t"] = new() { Replay = true } },
        Url = new Uri("http://a.test/mcp"),
        Auth = new ServerAuthConfig { Provider = "p", Scopes = ["x", "y"] },
    };

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("With_9-signs", "With_9-signs")]
    [InlineData("my server", "my-server")]
    [InlineData("a.b/c", "a-b-c")]
    [InlineData("größe", "gr--e")]
    [InlineData("", "")]
    public void Slug_IsFitForPathsAndPrefixes(string name, string slug) => Assert.Equal(slug, new ServerConfig { Name = name }.Slug);

    [Fact]
    public void Same_EqualEntriesReadTwice_Is()
    {
        var again = Full with
        {
            Args = [.. Full.Args],
            Env = new Dictionary<string, string> { ["B"] = "2", ["A"] = "1" },
            Headers = new Dictionary<string, string> { ["H"] = "1" },
            Tools = new Dictionary<string, ToolConfig> { ["t"] = new() { Replay = true } },
            Url = new Uri("http://a.test/mcp"),
            Auth = new ServerAuthConfig { Provider = "p", Scopes = ["x", "y"] },
        };

        Assert.True(ServerConfigComparer.Same(Full, again));
    }

    public static TheoryData<string> Changes => [.. Changed.Keys];

    private static readonly Dictionary<string, Func<ServerConfig, ServerConfig>> Changed = new(StringComparer.Ordinal)
    {
        ["name"] = c => c with { Name = "b" },
        ["transport"] = c => c with { Transport = ServerTransport.Http },
        ["command"] = c => c with { Command = "walk" },
        ["args"] = c => c with { Args = ["1", "3"] },
        ["args order"] = c => c with { Args = ["2", "1"] },
        ["args fewer"] = c => c with { Args = ["1"] },
        ["env value"] = c => c with { Env = new Dictionary<string, string> { ["A"] = "1", ["B"] = "3" } },
        ["env key"] = c => c with { Env = new Dictionary<string, string> { ["A"] = "1", ["C"] = "2" } },
        ["env more"] = c => c with { Env = new Dictionary<string, string> { ["A"] = "1", ["B"] = "2", ["C"] = "" } },
        ["headers"] = c => c with { Headers = new Dictionary<string, string>() },
        ["tools"] = c => c with { Tools = new Dictionary<string, ToolConfig> { ["t"] = new() { Replay = false } } },
        ["url"] = c => c with { Url = new Uri("http://a.test/other") },
        ["directory"] = c => c with { WorkingDirectory = "/" },
        ["scope"] = c => c with { Scope = LinkScope.Shared },
        ["prefix"] = c => c with { Prefix = PrefixRule.Never },
        ["disabled"] = c => c with { Disabled = true },
        ["concurrency"] = c => c with { Concurrency = 1 },
        ["queue"] = c => c with { Queue = 1 },
        ["deadline"] = c => c with { Deadline = TimeSpan.FromSeconds(1) },
        ["auth"] = c => c with { Auth = new ServerAuthConfig { Kind = ServerAuthKind.OAuth } },
        ["auth scopes"] = c => c with { Auth = new ServerAuthConfig { Provider = "p", Scopes = ["x", "z"] } },
        ["no auth"] = c => c with { Auth = null },
        ["retryOn503"] = c => c with { RetryOn503 = true },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void Same_AnythingElse_IsNot(string what)
    {
        Assert.False(ServerConfigComparer.Same(Full, Changed[what](Full)));
        Assert.False(ServerConfigComparer.Same(Changed[what](Full), Full));
    }
}
