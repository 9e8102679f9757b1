using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Tests.Replicas;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>A bug of the gateway's own, played by a store that throws what no store may: no client is left waiting for ever, and the log says what it was.</summary>
public sealed class OwnFaultTests
{
    [Theory]
    [InlineData("logging/setLevel", """{"level":"error"}""", "UpdateSessionAsync")]
    [InlineData("tasks/list", "{}", "FindTasksOfAsync")]
    public async Task Request_GatewayFailsToAnswer_IsAnsweredWithAnError(string method, string parameters, string operation)
    {
        FaultyStore? store = null;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions
        {
            Store = clock => store = new FaultyStore(clock),
            Server = server => server with { Scope = LinkScope.Shared },
        });
        var client = await gateway.ClientAsync(path: "/mcp");
        store!.Before = Bug(operation);

        using var reply = await gateway.PassTimeAsync(client.RequestAsync(method, parameters), TimeSpan.FromSeconds(30), "the head");
        var answer = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(30), "the answer");

        Assert.Equal(JsonRpc.InternalError, answer.ErrorCode());
        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error RequestNotAnswered", StringComparison.Ordinal));
    }

    [Fact]
    public async Task LegacyInitialize_GatewayFails_IsAnsweredWithAnError()
    {
        FaultyStore? store = null;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = clock => store = new FaultyStore(clock) });
        using var stream = await gateway.NewClient(path: "/sse").GetAsync();
        await stream.Events.NextAsync();
        var address = "/" + (await stream.Events.NextAsync())!.Data;
        store!.Before = Bug("UpdateSessionAsync");

        using var content = new StringContent(
            """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""", null, "application/json");
        using var posted = await gateway.Http.PostAsync(new Uri(address, UriKind.Relative), content, TestContext.Current.CancellationToken);
        var answer = await gateway.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "the answer");

        Assert.Equal(JsonRpc.InternalError, answer.ErrorCode());
        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error LegacySessionNotInitialized", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Call_GatewayFailsToPassItOn_EndsAsOutcomeUnknown()
    {
        await using var pair = await ReplicaPair.StartAsync(config: config => config with
        {
            Servers = [.. config.Servers.Select(server => server with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast })],
        });
        var client = await pair.A.ClientAsync();
        pair.Store.Store.Before = Bug("ClaimHomeAsync");
        pair.A.Session(client).Links.ForgetHome(pair.A.Get<UpstreamTable>().Find("one")!);

        var calling = client.CallAsync("echo");
        using var reply = await pair.A.PassTimeAsync(calling, TimeSpan.FromSeconds(30), "the head");
        var answer = await pair.A.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(30), "the answer");

        Assert.Equal("outcome_unknown", answer.Reason());
    }

    private static Func<string, Task> Bug(string operation) => asked => asked == operation ? throw new InvalidOperationException("a bug") : Task.CompletedTask;
}
