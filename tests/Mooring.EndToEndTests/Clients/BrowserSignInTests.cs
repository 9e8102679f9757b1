using Mooring.EndToEndTests.Browser;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>Real clients that know nothing but an address, and a person who signs in for them in a real browser, which holds the pages to their policies.</summary>
[Collection(NodeClients.Name)]
public sealed class BrowserSignInTests(SignInWorld world) : IClassFixture<SignInWorld>
{
    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task Client_FromZero_ItsPersonAllowsIt_CallsAndRefreshes(string client)
    {
        using var opener = new Opener();

        var run = await world.RunAsync("sign-in.mjs", ["--client", client, "--url", world.Url, "--tool", "echo", "--browser", opener.Program], opener, "Sign-in test");

        Assert.True(run.ExitCode == 0, Describe(run));
        Assert.Equal(["connect", "register", "browser", "exchange", "call", "refresh"], Steps(run));
        Assert.False(opener.HasOpened, "The person was asked again.");
    }

    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task Client_ItsPersonDoesNotAllowIt_IsToldSo(string client)
    {
        using var opener = new Opener();

        var run = await world.RunAsync("sign-in.mjs", ["--client", client, "--url", world.Url, "--tool", "echo", "--browser", opener.Program], opener, "Sign-in test", allows: false);

        Assert.True(run.ExitCode == 0, Describe(run));
        Assert.Equal(["connect", "register", "browser", "refused"], Steps(run));
        Assert.Equal("access_denied", run.Json().GetProperty("error").GetString());
    }

    [Fact]
    public async Task McpRemote_FromZero_SignsIn_AndNeedsNobodyTheNextTime()
    {
        using var opener = new Opener();
        string[] arguments =
        [
            "--client", "sdk", "--transport", "stdio", "--only", "calls", "--",
            NodeTool.Program, NodeTool.Package("mcp-remote/dist/proxy.js"), world.Url, "--allow-http", "--transport", "http-only",
        ];

        var first = await world.RunAsync("clients/run.mjs", arguments, opener, "MCP");
        Assert.True(first.ExitCode == 0, Describe(first));
        Assert.NotEmpty(Steps(first));

        var again = await NodeTool.RunAsync("clients/run.mjs", arguments, opener.Environment);
        Assert.True(again.ExitCode == 0, Describe(again));
        Assert.False(opener.HasOpened, "The person was asked again.");
    }

    [Fact]
    public async Task Inspector_FromZero_SignsIn_AndNeedsNobodyTheNextTime()
    {
        using var opener = new Opener();
        var script = NodeTool.Package("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        string[] arguments =
        [
            "--cli", world.Url, "--transport", "http", "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "word=hello",
            "--callback-url", $"http://127.0.0.1:{LoopbackPorts.Take()}/oauth/callback",
        ];

        var first = await world.RunAsync(script, arguments, opener, "MCP");
        Called(first);

        var again = await NodeTool.RunAsync(script, arguments, opener.Environment);
        Called(again);
        Assert.False(opener.HasOpened, "The person was asked again.");

        void Called(NodeRun run)
        {
            Assert.True(run.ExitCode == 0, Describe(run));
            Assert.Equal("hello", run.Json().GetProperty("structuredContent").GetProperty("received").GetProperty("arguments").GetProperty("word").GetString());
        }
    }

    private static IEnumerable<string> Steps(NodeRun run) => run.Json().GetProperty("steps").EnumerateArray().Select(step => step.GetString()!);

    private string Describe(NodeRun run) => $"{run.Output}\n{run.Errors}\n{world.Gateway.Process.Describe("the gateway said")}";
}
