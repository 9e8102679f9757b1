using System.Net;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>What is done otherwise for single kinds of clients, each beside what is done for the others.</summary>
public sealed class ClientProfileTests
{
    private const string Call = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}""";

    [Theory]
    [InlineData("Claude-User", null, HttpStatusCode.OK)]
    [InlineData("Claude-User", MissingSessionRule.NotFound, HttpStatusCode.NotFound)]
    [InlineData("Claude-User", MissingSessionRule.Refuse, HttpStatusCode.BadRequest)]
    [InlineData("node", null, HttpStatusCode.BadRequest)]
    [InlineData(null, null, HttpStatusCode.BadRequest)]
    public async Task Post_WithoutASessionId_IsAnsweredAsTheProfileSays(string? agent, MissingSessionRule? configured, HttpStatusCode expected)
    {
        await using var gateway = await StartAsync(configured is null ? null : new ClientConfig { Name = "claude.ai", MissingSession = configured });

        using var reply = await PostAsync(gateway, Call, agent);

        Assert.Equal(expected, reply.Status);
        if (expected == HttpStatusCode.OK)
        {
            Assert.Equal("\"hi\"", (await reply.MessageAsync()).Text());
            using var noted = await PostAsync(gateway, """{"jsonrpc":"2.0","method":"notifications/initialized"}""", agent);
            Assert.Equal(HttpStatusCode.Accepted, noted.Status);
        }
    }

    [Fact]
    public async Task Post_WithoutASessionId_IsServedForItsOwnUserAndLongerThanTheGrace()
    {
        await using var gateway = await StartAsync();
        var ann = PostAsync(gateway, Call.Replace("echo", "slow", StringComparison.Ordinal), "Claude-User", "ann");
        var held = await gateway.Upstream.CallAsync();
        using var bob = await PostAsync(gateway, Call, "Claude-User", "bob");
        var other = gateway.Upstream.Requests.Last(r => (string?)r.Message?["params"]?["name"] == "echo");

        using var reply = await gateway.PassTimeAsync(ann, TimeSpan.FromSeconds(2), "the head of the answer");
        await held.SendTextAsync("late");

        Assert.Equal("late", (await reply.MessageAsync()).Text());
        Assert.NotEqual(held.Session, other.Session);
        Assert.DoesNotContain(gateway.Sessions.All, s => s.IsKept);
    }

    [Theory]
    [InlineData("Claude-User", HttpStatusCode.MethodNotAllowed)]
    [InlineData("node", HttpStatusCode.OK)]
    public async Task Get_WithoutASessionId_IsNoStreamWhereTheProfileSaysSo(string agent, HttpStatusCode expected)
    {
        await using var gateway = await StartAsync();
        var client = gateway.NewClient(path: "/mcp");

        using var reply = await Limit.Of(client.GetAsync(headers: ("User-Agent", agent)), "the head of the answer");
        Assert.Equal(expected, reply.Status);
        using var sse = await Limit.Of(gateway.NewClient(path: "/sse").GetAsync(headers: ("User-Agent", agent)), "the head of the answer");
        Assert.Equal(HttpStatusCode.OK, sse.Status);
    }

    [Theory]
    [InlineData("test", false)]
    [InlineData("other", true)]
    public async Task Streams_OfAClientThatCannotReadAPrimer_BeginWithAComment(string configured, bool primer)
    {
        await using var gateway = await StartAsync(new ClientConfig { Name = "ours", Names = [configured], Primer = false });
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        var (reply, call) = await gateway.StreamedAsync(client);

        Assert.Equal((primer, !primer), await FirstAsync(stream));
        Assert.Equal((primer, !primer), await FirstAsync(reply));
        await call.SendTextAsync("done");
        var answer = await reply.Events.EventAsync();
        Assert.NotNull(answer.Id);
        gateway.Tell(client, "something");
        using var resumed = await gateway.ListenAsync(client, lastEventId: (await stream.Events.EventAsync()).Id);
        Assert.Equal((primer, !primer), await FirstAsync(resumed));

        static async Task<(bool Primer, bool Comment)> FirstAsync(TestReply reply)
        {
            var first = await reply.Events.NextAsync();
            while (first is { Id: null, Comment: false })
            {
                // A reconnection time alone.
                first = await reply.Events.NextAsync();
            }

            return (first!.IsPrimer, first.Comment);
        }
    }

    [Theory]
    [InlineData(5, 1)]
    [InlineData(0, 0)]
    public async Task Progress_IsMadeUpAsOftenAsTheProfileSays(int seconds, int expected)
    {
        await using var gateway = await StartAsync(new ClientConfig { Name = "ours", Names = ["test"], ProgressEvery = TimeSpan.FromSeconds(seconds) });
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        gateway.Advance(TimeSpan.FromSeconds(8));
        await call.SendTextAsync("done");

        Assert.Equal((expected, "done"), await ProgressAsync(reply));
    }

    [Fact]
    public async Task Progress_OfClientsWithoutSessions_IsMadeUpAsTheProfileOfEachRequestsClientSays()
    {
        await using var gateway = await StartAsync(new ClientConfig { Name = "ours", Names = ["test"], Versions = "<2", ProgressEvery = TimeSpan.FromSeconds(5) });
        // All of them are one person on one route with the same capabilities.
        var client = new StatelessClient(gateway.Http);
        var ours = await BeginAsync("""{"name":"test","version":"1"}""");
        var later = await BeginAsync("""{"name":"test","version":"2"}""");
        var other = await BeginAsync("""{"name":"other","version":"1"}""");

        gateway.Advance(TimeSpan.FromSeconds(8));

        foreach (var (reply, call, expected) in new[] { (ours.Reply, ours.Call, 1), (later.Reply, later.Call, 0), (other.Reply, other.Call, 0) })
        {
            await call.SendTextAsync("done");
            Assert.Equal((expected, "done"), await ProgressAsync(reply));
            reply.Dispose();
        }

        async Task<(TestReply Reply, UpstreamExchange Call)> BeginAsync(string info)
        {
            var posting = client.CallAsync("slow", meta: $$"""{"progressToken":7,"io.modelcontextprotocol/clientInfo":{{info}}}""");
            var call = await gateway.Upstream.CallAsync();
            return (await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer"), call);
        }
    }

    /// <summary>How often progress was told before the answer, and the answer.</summary>
    private static async Task<(int Made, string? Text)> ProgressAsync(TestReply reply)
    {
        var made = 0;
        JsonObject message;
        while ((message = await reply.Events.MessageAsync())["method"] is not null)
        {
            made++;
        }

        return (made, message.Text());
    }

    private static Task<GatewayFixture> StartAsync(params ClientConfig?[] clients) => GatewayFixture.StartAsync(
        new FixtureOptions { Config = c => c with { Clients = [.. clients.OfType<ClientConfig>()] } }, new FakeUpstream().Hold("slow"));

    private static Task<TestReply> PostAsync(GatewayFixture gateway, string body, string? agent, string? user = null) =>
        Limit.Of(gateway.NewClient(user: user).PostAsync(body, headers: agent is null ? [] : [("User-Agent", agent)]), "the head of the answer");
}
