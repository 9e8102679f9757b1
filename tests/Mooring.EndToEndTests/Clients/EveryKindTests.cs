using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>Each official client at each kind of server: with and without sessions, over each transport, alone and behind one address with all others.</summary>
[Collection(NodeClients.Name)]
public sealed class EveryKindTests(EveryKind servers) : IClassFixture<EveryKind>
{
    private const int CommonSteps = 13;
    private const string Sessions = "2025-11-25";
    private const string Stateless = "2026-07-28";

    public static TheoryData<string, string, string> Clients => new(
        from client in new[] { ("sdk", Sessions), ("client", Sessions), ("client-auto", Stateless), ("client-pinned", Stateless) }
        from kind in EveryKind.Kinds
        select (client.Item1, client.Item2, kind));

    public static TheoryData<string, string, string> ClientsBeside => new(
        from client in new[] { ("sdk", Sessions), ("client-auto", Stateless), ("client-pinned", Stateless) }
        from kind in EveryKind.Kinds
        select (client.Item1, client.Item2, kind));

    public static TheoryData<string, string, string> Inspectors => new(
        from era in new[] { ("legacy", Sessions), ("auto", Stateless), ("modern", Stateless) }
        from kind in EveryKind.Kinds
        select (era.Item1, era.Item2, kind));

    [Theory]
    [MemberData(nameof(Clients))]
    public Task Library_AtAServerOfTheKind_EveryStepPasses(string client, string version, string kind) => RunAsync(client, version, kind, At(kind));

    [Theory]
    [MemberData(nameof(ClientsBeside))]
    public Task Library_AtAServerOfTheKindBesideAllOthers_EveryStepPasses(string client, string version, string kind) =>
        RunAsync(client, version, kind, new Uri(servers.Relay.Url, "/mcp"), "--server", kind);

    [Theory]
    [MemberData(nameof(Inspectors))]
    public async Task Inspector_OfTheEraAtAServerOfTheKind_GetsWhatItHasInItsVersion(string era, string version, string kind)
    {
        var url = At(kind);
        var (negotiated, named) = await SpokenAsync();

        var tools = await Inspector.RunAsync(url, "http", servers.Gateway, "--protocol-era", era, "--method", "tools/list");
        Assert.Contains("test_simple_text", tools.GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString()));
        var call = await Inspector.RunAsync(url, "http", servers.Gateway, "--protocol-era", era, "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "word=hello");
        Assert.Equal("hello", call.GetProperty("structuredContent").GetProperty("received").GetProperty("arguments").GetProperty("word").GetString());

        var spoken = await SpokenAsync();
        Assert.Equal(version == Sessions ? [Sessions, Sessions] : [], spoken.Negotiated.Skip(negotiated.Count));
        Assert.Equal(version == Stateless ? [Stateless] : [], spoken.Named.Skip(named.Count).Distinct());
        await servers.AssertEveryMessageValidAsync(kind);
    }

    private async Task<(IReadOnlyList<string> Negotiated, IReadOnlyList<string> Named)> SpokenAsync() => (await servers.Relay.VersionsAsync(), await servers.Relay.VersionsOfRequestsAsync());

    private async Task RunAsync(string client, string version, string kind, Uri url, params string[] more)
    {
        // A server without sessions does not know who is subscribed, which one step asks it.
        string[] without = IsAlone(kind) ? ["--without", "subscriptions"] : [];
        var run = await NodeTool.RunAsync("clients/run.mjs", ["--client", client, "--transport", "http", "--url", url.AbsoluteUri, "--expect-version", version, .. without, .. more]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{servers.Gateway.Process.Describe("the gateway said")}");
        // With sessions there is one more: a stream closed by the server.
        Assert.Equal(CommonSteps + (version == Sessions ? 1 : 0) - without.Length / 2, run.Json().GetProperty("steps").GetArrayLength());
        await servers.AssertEveryMessageValidAsync(kind);
    }

    /// <summary>The server of the kind, by the relay in front of the gateway.</summary>
    private Uri At(string kind) => new(servers.Relay.Url, servers.Gateway.ServerUrl(kind).AbsolutePath);

    private static bool IsAlone(string kind) => kind.StartsWith("new", StringComparison.Ordinal);
}
