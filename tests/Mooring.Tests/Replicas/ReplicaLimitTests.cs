using System.Net;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Sessions;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Limits of streams and of sessions that two replicas share.</summary>
public sealed class ReplicaLimitTests
{
    private const string Hello = """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""";

    [Fact]
    public async Task Streams_OfOneUserAtBoth_AreLimitedTogether_AndAPlaceGivenBackAtOneIsHadAtTheOther()
    {
        await using var pair = await PairAsync(l => l with { StreamsPerUser = 2 });
        var (atA, atB) = (await pair.A.ClientAsync(user: "ann"), await pair.B.ClientAsync(user: "ann"));
        using var first = await pair.A.ListenAsync(atA);
        using var second = await pair.B.ListenAsync(atB);

        using (var third = await atB.GetAsync())
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, third.Status);
            Assert.Equal("8", third.Header("Retry-After"));
        }

        using (var another = await (await pair.B.ClientAsync(user: "bob")).GetAsync())
        {
            Assert.Equal(HttpStatusCode.OK, another.Status);
        }

        first.Dispose();
        await UntilAdmittedAsync(pair, atB);
    }

    [Fact]
    public async Task Streams_OfAllUsersAtBoth_AreLimitedTogether()
    {
        await using var pair = await PairAsync(l => l with { AllStreams = 2 });
        using var first = await pair.A.ListenAsync(await pair.A.ClientAsync(user: "ann"));
        using var second = await pair.B.ListenAsync(await pair.B.ClientAsync(user: "bob"));

        using var third = await (await pair.B.ClientAsync(user: "cid")).GetAsync();

        Assert.Equal(HttpStatusCode.TooManyRequests, third.Status);
        Assert.Contains("limits.allStreams", await third.BodyAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Streams_ReplicaGoesWithoutAWord_ItsShareGoesWithItsLease()
    {
        await using var pair = await PairAsync(l => l with { StreamsPerUser = 1 });
        using var lost = await pair.A.ListenAsync(await pair.A.ClientAsync(user: "ann"));
        var client = await pair.B.ClientAsync(user: "ann");

        pair.StoreOfA.IsAway = true;
        using (var tooSoon = await client.GetAsync())
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, tooSoon.Status);
        }

        await pair.PassAsync(Peers.Lease);
        await UntilAdmittedAsync(pair, client);
    }

    [Fact]
    public async Task Streams_StoreAway_EachCountsItsOwn_AndBothTogetherAgainWhenItIsBack()
    {
        await using var pair = await PairAsync(l => l with { StreamsPerUser = 1 });
        var (places, others) = (pair.A.Get<StreamPlaces>(), pair.B.Get<StreamPlaces>());
        var ann = new Principal("i", "ann");

        pair.Store.Store.IsAway = true;
        Assert.Null(await places.TakeAsync(ann));
        Assert.Null(await others.TakeAsync(ann));
        Assert.NotNull(await places.TakeAsync(ann));
        others.GiveBack(ann);

        pair.Store.Store.IsAway = false;
        await pair.PassAsync(TimeSpan.FromSeconds(20));
        Assert.Contains("limits.streamsPerUser", (await others.TakeAsync(ann))!.Value.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sessions_OfOneUserAtBoth_AreLimitedTogether()
    {
        await using var pair = await PairAsync(l => l with { SessionsPerUser = 2 });
        var first = await pair.A.ClientAsync(user: "ann");
        await pair.B.ClientAsync(user: "ann");

        using (var third = await pair.B.NewClient(user: "ann").RequestAsync("initialize", Hello))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, third.Status);
        }

        await pair.B.ClientAsync(user: "bob");
        (await first.DeleteAsync()).Dispose();
        await pair.B.ClientAsync(user: "ann");
    }

    [Fact]
    public async Task Sessions_OfAllUsersAtBoth_AreLimitedTogether()
    {
        await using var pair = await PairAsync(l => l with { AllSessions = 2 });
        await pair.A.ClientAsync(user: "ann");
        await pair.B.ClientAsync(user: "bob");

        using var third = await pair.B.NewClient(user: "cid").RequestAsync("initialize", Hello);

        Assert.Equal(HttpStatusCode.TooManyRequests, third.Status);
    }

    private static Task<ReplicaPair> PairAsync(Func<LimitsConfig, LimitsConfig> limits) =>
        ReplicaPair.StartAsync(config: c => c with { Limits = limits(c.Limits) });

    /// <summary>Tries again and again, a little later each time.</summary>
    private static async Task UntilAdmittedAsync(ReplicaPair pair, McpTestClient client)
    {
        for (var tries = 0; tries < 20; tries++)
        {
            await pair.PassAsync(TimeSpan.FromMilliseconds(500));
            using var reply = await client.GetAsync();
            if (reply.Status == HttpStatusCode.OK)
            {
                return;
            }
        }

        Assert.Fail("No place was given back.");
    }
}
