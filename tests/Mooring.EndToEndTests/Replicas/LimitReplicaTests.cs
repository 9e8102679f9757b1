using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Limits that two gateways share, and what is left of the share of one that is killed.</summary>
public sealed class LimitReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task Streams_AtBoth_AreLimitedTogether_AndAKilledOneGivesItsShareBack()
    {
        await using var pair = await ReplicaPair.StartAsync(database, config => config["limits"] = new JsonObject { ["streamsPerUser"] = 2 });
        using var atA = await McpClient.ConnectAsync(pair.AtA);
        using var atB = await McpClient.ConnectAsync(pair.AtB);
        using var first = await atA.OpenAsync();
        using var second = await atA.OpenAsync();
        using (var refused = await atB.GetAsync())
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(8), refused.Headers.RetryAfter?.Delta);
        }

        await ReplicaPair.KillAsync(pair.A);

        await Wait.UntilAsync(
            async () =>
            {
                using var response = await atB.GetAsync();
                return response.IsSuccessStatusCode;
            },
            () => pair.B.Process.Describe("the share of the one that was killed is not given back"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task Sessions_MadeAtBoth_AreLimitedTogether_AlsoThoseOfAKilledOne()
    {
        await using var pair = await ReplicaPair.StartAsync(database, config => config["limits"] = new JsonObject { ["sessionsPerUser"] = 2 });
        using var atA = await McpClient.ConnectAsync(pair.AtA);
        using var atB = await McpClient.ConnectAsync(pair.AtB);

        await ReplicaPair.KillAsync(pair.A);

        using var third = new McpClient(pair.AtB);
        using (var refused = await third.PostAsync(third.Request("initialize", new JsonObject { ["protocolVersion"] = "2025-11-25", ["capabilities"] = new JsonObject(), ["clientInfo"] = new JsonObject { ["name"] = "t", ["version"] = "1" } })))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        }

        // It is in the store, so it is there at the other, to be used or to be ended.
        using var moved = atA.At(pair.AtB);
        await moved.DeleteAsync();
        using var fourth = await McpClient.ConnectAsync(pair.AtB);
        Assert.Equal("works", await fourth.CallAsync("echo", "works"));
    }
}
