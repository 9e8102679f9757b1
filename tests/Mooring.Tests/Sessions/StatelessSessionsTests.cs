using System.Net;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Which requests of clients without sessions share one at a server, and whose place is given up where there are too many.</summary>
public sealed class StatelessSessionsTests
{
    [Fact]
    public async Task Capabilities_WrittenOtherwise_AreTheSameClient()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        await EchoAsync(new StatelessClient(gateway.Http, capabilities: """{"sampling":{},"roots":{"listChanged":true}}"""));
        await EchoAsync(new StatelessClient(gateway.Http, capabilities: """{ "roots" : { "listChanged": true }, "sampling": { } }"""));
        await EchoAsync(new StatelessClient(gateway.Http, capabilities: """{"experimental":{},"roots":{"listChanged":true},"sampling":{}}"""));
        Assert.Single(gateway.Sessions.All);

        await EchoAsync(new StatelessClient(gateway.Http, capabilities: """{"roots":{"listChanged":true}}"""));
        Assert.Equal(2, gateway.Sessions.Count);
    }

    [Fact]
    public async Task Clients_OfOtherNamesOrVersions_AreToldApartAtTheServer()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await EchoAsync(Client(gateway, "one", "1"));
        await EchoAsync(Client(gateway, "two", "1"));
        await EchoAsync(Client(gateway, "two", "2"));
        await EchoAsync(Client(gateway, "one", "1"));

        Assert.Equal(3, gateway.Sessions.Count);
        var told = gateway.Upstream.Messages("initialize").Select(m => m["params"]!["clientInfo"]!).Where(info => (string?)info["name"] != "mooring");
        Assert.Equal(["one 1", "two 1", "two 2"], told.Select(info => $"{info["name"]} {info["version"]}"));
    }

    [Fact]
    public async Task Person_HasAsManyAsOneMayHave_TheOneNotUsedForTheLongestTimeGivesItsPlace()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { SessionsPerUser = 2 } } }, new FakeUpstream().Hold("slow"));
        var first = Client(gateway, "first", "1", "ann");
        var busy = first.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await EchoAsync(Client(gateway, "second", "1", "ann"));
        gateway.Advance(TimeSpan.FromSeconds(5));

        await EchoAsync(Client(gateway, "third", "1", "ann"));
        Assert.Equal(["first", "third"], Names(gateway));

        // In use, or a moment ago: of these none goes.
        using (var refused = await Client(gateway, "fourth", "1", "ann").CallAsync("echo"))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.Status);
        }

        await EchoAsync(Client(gateway, "fourth", "1", "bob"));
        call.Text("done");
        using var answer = await Limit.Of(busy, "the answer");
        Assert.Equal("done", (await answer.MessageAsync()).Text());
    }

    [Fact]
    public async Task Person_WhoListensWithAll_GivesNoneUp()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { SessionsPerUser = 1 } } });
        var (listen, _) = await Client(gateway, "first", "1", "ann").ListenAsync("""{"toolsListChanged":true}""");
        gateway.Advance(TimeSpan.FromSeconds(5));

        using var refused = await Client(gateway, "second", "1", "ann").CallAsync("echo");

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.Status);
        listen.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Gateway_HasAsManyAsItMayHave_NobodyLosesWhatAServerKeepsForThem(bool keeps)
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { Sessions = 1 } } }, new FakeUpstream { HasSessions = keeps });
        await EchoAsync(Client(gateway, "first", "1", "ann"));
        gateway.Advance(TimeSpan.FromSeconds(5));

        using var another = await Client(gateway, "first", "1", "bob").CallAsync("echo");

        Assert.Equal(keeps ? HttpStatusCode.TooManyRequests : HttpStatusCode.OK, another.Status);
        Assert.Equal(keeps ? "ann" : "bob", Assert.Single(gateway.Sessions.All).Principal.Subject);
        gateway.Advance(TimeSpan.FromSeconds(5));
        await EchoAsync(Client(gateway, "second", "1", keeps ? "ann" : "bob"));
    }

    private static StatelessClient Client(GatewayFixture gateway, string name, string version, string? user = null)
    {
        var client = new StatelessClient(gateway.Http, user: user);
        client.Meta["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = name, ["version"] = version };
        return client;
    }

    private static async Task EchoAsync(StatelessClient client) => Assert.Equal("nothing", (await client.ResultAsync("tools/call", """{"name":"echo"}""")).Text());

    private static IEnumerable<string?> Names(GatewayFixture gateway) =>
        gateway.Sessions.All.Select(session => (string?)JsonNode.Parse(session.Record.InitializeParams.Span)!["clientInfo"]!["name"]).Order();
}
