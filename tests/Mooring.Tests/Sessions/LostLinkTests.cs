using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>A link that cannot be renewed is lost, and somebody listens: it is opened again without a call, for as long as it takes.</summary>
public sealed class LostLinkTests
{
    private const string News = """{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"news"}}""";

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(2);

    private readonly SseServer _server = new();

    /// <param name="refusals">How often the server refuses it first; after five it is away, and probed.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(6)]
    public async Task Lost_ClientListens_IsOpenedAgain_HoweverOftenThatIsRefused(int refusals)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        using var stream = await gateway.ListenAsync(client);

        await LoseAsync(gateway, "test", refusals);

        var link = Assert.Single(_server.LinksOf("test"), one => !one.WasLeft);
        await link.SendAsync(News);
        Assert.Equal("news", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task Lost_WhileNobodyListened_IsOpenedOnceSomebodyDoes()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        var lost = Assert.Single(_server.LinksOf("test"));
        lost.End();
        await gateway.UntilAsync(() => lost.WasLeft, "it is lost");
        await gateway.PassTimeAsync(Task.Delay(Long, gateway.Clock), Long * 2, "time passed");
        Assert.Single(_server.LinksOf("test"));

        using var stream = await gateway.ListenAsync(client);

        await gateway.UntilAsync(() => _server.LinksOf("test").Count == 2, "there is another", Long);
    }

    [Fact]
    public async Task Lost_AgainAndAgain_IsOpenedLessAndLessOften()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        using var stream = await gateway.ListenAsync(client);
        var began = gateway.Clock.Elapsed;

        await gateway.UntilAsync(
            () =>
            {
                _server.LinksOf("test").Where(one => !one.WasLeft).ToList().ForEach(one => one.End());
                return gateway.Clock.Elapsed - began > Long;
            },
            "time passed",
            Long * 2);

        Assert.InRange(_server.LinksOf("test").Count, 6, 14);
    }

    /// <param name="scope">With <c>session</c> it is the link on which the lists are watched.</param>
    [Theory]
    [InlineData(LinkScope.Shared, 0)]
    [InlineData(LinkScope.Shared, 3)]
    [InlineData(LinkScope.Session, 0)]
    [InlineData(LinkScope.Session, 3)]
    public async Task Lost_LinkOfNoSession_IsOpenedAgain_HoweverOftenThatIsRefused(LinkScope scope, int refusals)
    {
        await using var gateway = await StartAsync(scope);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("tools/list").Count > 0, "there is one, and it is used");

        await LoseAsync(gateway, "mooring", refusals);
    }

    [Fact]
    public async Task Shared_CouldNotBeOpenedAtFirst_IsOpenedWithoutACall()
    {
        _server.Refuses = true;
        await using var gateway = await StartAsync(LinkScope.Shared);
        await gateway.UntilAsync(() => _server.Refused > 0, "it is refused");

        _server.Refuses = false;

        await gateway.UntilAsync(() => _server.LinksOf("mooring").Count == 1, "there is one", Long);
    }

    private async Task LoseAsync(GatewayFixture gateway, string client, int refusals)
    {
        var before = _server.Refused;
        _server.Refuses = refusals > 0;
        Assert.Single(_server.LinksOf(client)).End();
        await gateway.UntilAsync(() => _server.Refused - before >= refusals, "it is tried", Long);
        _server.Refuses = false;
        await gateway.UntilAsync(() => _server.LinksOf(client).Count == 2, "there is another", Long);
    }

    private Task<GatewayFixture> StartAsync(LinkScope scope = LinkScope.Session) => GatewayFixture.StartAsync(
        new FixtureOptions { Server = server => server with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast, Scope = scope } },
        new FakeUpstream { Intercept = _server.Handle });
}
