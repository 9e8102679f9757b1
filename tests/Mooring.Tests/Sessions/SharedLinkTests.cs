using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>One link for all sessions: what its server does to it, or leaves undone, costs nobody the server.</summary>
public sealed class SharedLinkTests
{
    private static readonly FixtureOptions Shared = new() { Server = server => server with { Scope = LinkScope.Shared, Commit = CommitRule.Fast } };

    private readonly FakeUpstream _server = new();

    /// <param name="swallowed">What the server takes, and says nothing to.</param>
    /// <param name="isLost">Whether its session is renewed then, or another link opened.</param>
    [Theory]
    [InlineData("logging/setLevel", true)]
    [InlineData("logging/setLevel", false)]
    [InlineData("resources/subscribe", true)]
    [InlineData("resources/subscribe", false)]
    public async Task Open_OneWishIsNotAnswered_OthersAreTold_AndTheLinkIsThereForAll(string swallowed, bool isLost)
    {
        await using var gateway = await GatewayFixture.StartAsync(Shared, _server);
        var client = await gateway.ClientAsync();
        (await client.RequestAsync("logging/setLevel", """{"level":"debug"}""")).Dispose();
        (await client.RequestAsync("resources/subscribe", """{"uri":"test://one/a"}""")).Dispose();
        (await client.RequestAsync("resources/subscribe", """{"uri":"test://one/b"}""")).Dispose();
        var (levels, uris) = (_server.Messages("logging/setLevel").Count, _server.Messages("resources/subscribe").Count);
        var first = true;
        _server.Intercept = exchange => (string?)exchange.Message?["method"] == swallowed && first && !(first = false);

        if (isLost)
        {
            _server.ForgetSessions();
        }
        else
        {
            gateway.Config.Replace(gateway.Config.Current with { Servers = [gateway.Config.Current.Servers[0] with { Concurrency = 7 }] });
        }

        var other = await gateway.ClientAsync();
        Assert.Equal("nothing", (await gateway.PassTimeAsync(other.ResultAsync("echo"), TimeSpan.FromSeconds(20), "the answer")).Text());
        Assert.Equal((levels + 1, uris + 2), (_server.Messages("logging/setLevel").Count, _server.Messages("resources/subscribe").Count));
    }

    [Fact]
    public async Task Progress_WithoutAToken_IsNobodysAndHarmsNoAnswer()
    {
        await using var gateway = await GatewayFixture.StartAsync(Shared, _server.Hold("slow"));
        var client = await gateway.ClientAsync();
        var stateless = new StatelessClient(gateway.Http);
        foreach (var posting in new[] { () => client.CallAsync("slow", meta: """{"progressToken":"mine"}"""), () => stateless.CallAsync("slow", meta: """{"progressToken":"mine"}""") })
        {
            var calling = posting();
            var call = await _server.CallAsync();
            await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}""");
            await call.SendTextAsync("done");

            using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromSeconds(20), "the head");
            Assert.Equal("done", (await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(20), "the answer")).Text());
        }
    }

    [Fact]
    public async Task Server_LogsWithoutEnd_TheGatewaysLogHasAsMuchOfItAsOfAStandardError()
    {
        await using var gateway = await GatewayFixture.StartAsync(Shared, new FakeUpstream { HasGetStream = true });
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        var server = (await gateway.Upstream.GetAsync()).Stream();

        await server.SendAsync(Saying(new string('x', 10_000)));
        for (var i = 0; i < 300; i++)
        {
            await server.SendAsync(Saying($"{i}"));
        }

        List<string> Said(string name) => [.. gateway.LogLines.Lines.Where(line => line.Contains($" {name}: ", StringComparison.Ordinal))];
        await gateway.UntilAsync(() => Said("SharedServerSaid").Count == 200, "as many lines as there may be");
        Assert.InRange(Said("SharedServerSaid")[0].Length, 4096, 4300);
        Assert.Contains(" bytes more)", Said("SharedServerSaid")[0], StringComparison.Ordinal);

        gateway.Advance(TimeSpan.FromSeconds(11));
        await server.SendAsync(Saying("later"));
        await gateway.UntilAsync(() => Said("SharedServerSaid").Count == 201, "the next one");
        Assert.Contains("Server one says too much: 101 of its log messages were left out.", Assert.Single(Said("SharedServerLeftOut")), StringComparison.Ordinal);

        static string Saying(string text) => $$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"{{{text}}}"}}""";
    }

    [Fact]
    public async Task Open_NoWishIsAnswered_TheServerIsAskedNoMoreThanAFewAtATime_AndTheLinkIsThere()
    {
        await using var gateway = await GatewayFixture.StartAsync(Shared, _server);
        var client = await gateway.ClientAsync();
        for (var i = 0; i < 40; i++)
        {
            (await client.RequestAsync("resources/subscribe", $$"""{"uri":"test://one/{{i}}"}""")).Dispose();
        }

        var before = _server.Messages("resources/subscribe").Count;
        _server.Intercept = exchange => (string?)exchange.Message?["method"] == "resources/subscribe";
        _server.ForgetSessions();

        Assert.Equal("nothing", (await gateway.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(20), "the answer")).Text());
        Assert.Equal(16, _server.Messages("resources/subscribe").Count - before);
    }
}
