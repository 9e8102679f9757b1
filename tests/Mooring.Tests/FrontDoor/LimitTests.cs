using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Caps of the front door, and requests of a version that is not served.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task Post_BodyOverTheLimit_Is413AndReachesNobody()
    {
        await using var gateway = await StartAsync(l => l with { BodySize = 1024 });
        var client = await gateway.ClientAsync();

        using var reply = await client.CallAsync("echo", $$"""{"text":"{{new string('x', 1100)}}"}""");

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, reply.Status);
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Get_MoreStreamsThanOneUserMayHold_Is429WithRetryAfter()
    {
        await using var gateway = await StartAsync(l => l with { StreamsPerUser = 2 });
        var ann = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");
        using var first = await gateway.ListenAsync(ann);
        using var second = await gateway.ListenAsync(ann);

        using var third = await ann.GetAsync();
        using var others = await bob.GetAsync();

        Assert.Equal(HttpStatusCode.TooManyRequests, third.Status);
        Assert.NotNull(third.Header("Retry-After"));
        Assert.Equal(HttpStatusCode.OK, others.Status);
    }

    [Fact]
    public async Task Get_MoreStreamsThanTheGatewayHolds_Is429WithRetryAfter()
    {
        await using var gateway = await StartAsync(l => l with { Streams = 1 });
        var ann = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");
        using var first = await gateway.ListenAsync(ann);

        using var second = await bob.GetAsync();

        Assert.Equal(HttpStatusCode.TooManyRequests, second.Status);
        Assert.NotNull(second.Header("Retry-After"));
    }

    [Fact]
    public async Task Initialize_MoreSessionsThanOneUserMayHave_Is429WithRetryAfter()
    {
        await using var gateway = await StartAsync(l => l with { SessionsPerUser = 1 });
        var first = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");

        using var second = await gateway.NewClient(user: "ann").RequestAsync("initialize", """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, second.Status);
        Assert.NotNull(second.Header("Retry-After"));

        (await first.DeleteAsync()).Dispose();
        await gateway.ClientAsync(user: "ann");
    }

    [Fact]
    public async Task Initialize_MoreSessionsThanTheGatewayHolds_Is429WithRetryAfterForEverybody()
    {
        await using var gateway = await StartAsync(l => l with { Sessions = 1 });
        var first = await gateway.ClientAsync(user: "ann");

        using var second = await gateway.NewClient(user: "bob").RequestAsync("initialize", """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, second.Status);
        Assert.NotNull(second.Header("Retry-After"));

        (await first.DeleteAsync()).Dispose();
        await gateway.ClientAsync(user: "bob");
    }

    [Fact]
    public async Task Call_MoreThanOneSessionMayRun_IsRefusedWithoutReachingTheServer()
    {
        await using var gateway = await StartAsync(l => l with { CallsPerSession = 1 });
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        using (var refused = await client.CallAsync("echo"))
        {
            Assert.Equal((HttpStatusCode.TooManyRequests, "1"), (refused.Status, refused.Header("Retry-After")));
            Assert.Equal(-32000, (await refused.MessageAsync()).ErrorCode());
        }

        Assert.Equal(0, gateway.Upstream.Executions("echo"));
        call.Text("done");
        (await posting).Dispose();
    }

    [Fact]
    public async Task Call_MoreThanOneUserMayStartInAMinute_Is429UntilTheMinuteIsOver()
    {
        await using var gateway = await StartAsync(l => l with { CallsPerUserPerMinute = 2 });
        var ann = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");
        await ann.ResultAsync("echo");
        gateway.Advance(TimeSpan.FromSeconds(10));
        await ann.ResultAsync("echo");

        using (var third = await ann.CallAsync("echo", id: "\"third\""))
        {
            Assert.Equal((HttpStatusCode.TooManyRequests, "50"), (third.Status, third.Header("Retry-After")));
            var error = await third.MessageAsync();
            Assert.Equal(("\"third\"", -32000), (error.RawId(), error.ErrorCode()));
            Assert.Contains("limits.callsPerUserPerMinute", (string?)error["error"]!["message"], StringComparison.Ordinal);
        }

        Assert.Equal(2, gateway.Upstream.Executions("echo"));
        await ann.NotifyAsync("notifications/roots/list_changed");
        Assert.Equal("nothing", (await bob.ResultAsync("echo")).Text());
        gateway.Advance(TimeSpan.FromSeconds(50));
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Batch_MoreRequestsThanOneUserMayStartInAMinute_Is429AsAWhole()
    {
        await using var gateway = await StartAsync(l => l with { CallsPerUserPerMinute = 2 });
        var client = await gateway.ClientAsync("2025-03-26");
        const string Echo = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}""";

        using var reply = await client.PostAsync($"[{Echo},{Echo},{Echo}]");

        Assert.Equal((HttpStatusCode.TooManyRequests, "60"), (reply.Status, reply.Header("Retry-After")));
        Assert.Equal(-32000, (await reply.MessageAsync()).ErrorCode());
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task LegacyCall_MoreThanOneUserMayStartInAMinute_Is429()
    {
        await using var gateway = await StartAsync(l => l with { CallsPerUserPerMinute = 1 });
        using var stream = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await stream.Events.NextAsync();
        var address = "/servers/one/" + (await stream.Events.NextAsync())!.Data;
        const string Ping = """{"jsonrpc":"2.0","id":7,"method":"ping"}""";

        using var first = await gateway.NewClient(path: address).PostAsync(Ping);
        using var second = await gateway.NewClient(path: address).PostAsync(Ping);

        Assert.Equal(HttpStatusCode.Accepted, first.Status);
        Assert.Equal((HttpStatusCode.TooManyRequests, "60"), (second.Status, second.Header("Retry-After")));
        Assert.Equal("7", (await second.MessageAsync()).RawId());
    }

    [Fact]
    public async Task LegacyGet_MoreStreamsThanOneUserMayHold_Is429AndLeavesNoSession()
    {
        await using var gateway = await StartAsync(l => l with { StreamsPerUser = 1 });
        using var first = await gateway.NewClient(path: "/servers/one/sse", user: "ann").GetAsync();
        var store = gateway.Get<IStore>();
        Assert.Equal(1, await store.CountSessionsAsync(CancellationToken.None));

        using var second = await gateway.NewClient(path: "/servers/one/sse", user: "ann").GetAsync();

        Assert.Equal((HttpStatusCode.TooManyRequests, "30"), (second.Status, second.Header("Retry-After")));
        Assert.Equal(1, await store.CountSessionsAsync(CancellationToken.None));
        Assert.Equal(1, gateway.Sessions.Count);
    }

    [Fact]
    public async Task GetAndDelete_StatelessVersion_Are405()
    {
        await using var gateway = await StartAsync(l => l);
        var client = gateway.NewClient();

        using var get = await client.GetAsync(headers: ("MCP-Protocol-Version", "2026-07-28"));
        using var delete = await client.DeleteAsync(("MCP-Protocol-Version", "2026-07-28"));

        Assert.Equal(HttpStatusCode.MethodNotAllowed, get.Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, delete.Status);
    }

    private static Task<GatewayFixture> StartAsync(Func<LimitsConfig, LimitsConfig> limits) =>
        GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = limits(c.Limits) } }, new FakeUpstream().Hold("slow"));
}
