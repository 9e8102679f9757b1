using System.Net;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Tasks while the store is away: whoever asks is told to come again, by the status too, and has everything afterwards.</summary>
public sealed class TaskStoreTests
{
    private FaultyStore _store = null!;

    [Theory]
    [InlineData("tasks/get", "")]
    [InlineData("tasks/cancel", "")]
    [InlineData("tasks/update", ",\"inputResponses\":{}")]
    public async Task Method_StoreAway_Is503WithRetryAfter_AndWorksAgain(string method, string rest)
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, _) = await gateway.TaskAsync(client);
        _store.IsAway = true;

        using var reply = await client.RequestAsync(method, $$"""{"taskId":"{{id}}"{{rest}}}""");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (reply.Status, reply.Header("Retry-After")));
        Assert.Equal(-32603, (await reply.MessageAsync()).ErrorCode());
        _store.IsAway = false;
        using var again = await client.RequestAsync(method, $$"""{"taskId":"{{id}}"{{rest}}}""");
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.NotNull((await again.MessageAsync())["result"]);
    }

    [Fact]
    public async Task Listener_StoreAway_Is503WithRetryAfter_OnlyWhereItNamesTasks()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, _) = await gateway.TaskAsync(client);
        _store.IsAway = true;

        using var reply = await client.RequestAsync("subscriptions/listen", $$$"""{"notifications":{"taskIds":["{{{id}}}"]}}""");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (reply.Status, reply.Header("Retry-After")));
        var (other, _) = await client.ListenAsync("""{"toolsListChanged":true}""");
        other.Dispose();
        _store.IsAway = false;
        var (again, acknowledged) = await client.ListenAsync($$"""{"taskIds":["{{id}}"]}""");
        Assert.Equal($$"""{"taskIds":["{{id}}"]}""", acknowledged["params"]!["notifications"]!.ToJsonString());
        again.Dispose();
    }

    private Task<GatewayFixture> StartAsync() =>
        GatewayFixture.StartAsync(new FixtureOptions { Store = time => _store = new FaultyStore(time) }, new FakeUpstream().Hold("slow"));
}
