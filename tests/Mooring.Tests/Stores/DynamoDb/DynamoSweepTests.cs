using System.Text;
using Amazon.DynamoDBv2.Model;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>What is done from time to time, by one replica for all. The service's clock goes with the test's.</summary>
public sealed class DynamoSweepTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bodies_OfRowsWithoutAnEnd_NobodyReadsThem_AreKept_AndSeldomWritten()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session() with { InitializeParams = Body(9) });
        await store.SaveLinkAsync(Link() with { InitializeResult = Body(200), OwnLists = Body(300) });
        await store.SaveCatalogueAsync(new CatalogueRecord("files", "v", "tools", Body(600), "hash", FakeClock.Start));
        Assert.True(await store.HoldTaskAsync(Held() with { Meta = Body(9), Expires = FakeClock.Start + TimeSpan.FromDays(400) }, 10, 10));
        var until = await ChunksAsync(store);
        Assert.Equal(8, until.Count);

        var written = 0;
        for (var day = 4; day <= 120; day += 4)
        {
            fixture.Clock.Advance(TimeSpan.FromDays(4));
            await fixture.Server.AheadAsync(TimeSpan.FromDays(day));
            // As the service does it, on the dot.
            Assert.DoesNotContain(until.Values, end => end < store.Table.Now.ToUnixTimeSeconds());
            Assert.True(await store.TakeSweepAsync());
            await store.ExpireEventsAsync(fixture.Clock.GetUtcNow());
            var now = await ChunksAsync(store);
            written += now.Count(chunk => until[chunk.Key] != chunk.Value);
            until = now;
        }

        Assert.Equal(8 * 3, written);
        Assert.Equal(Text(Body(9)), Text((await store.FindSessionAsync("session", Cancel))!.InitializeParams));
        var link = Assert.Single(await store.FindLinksAsync("session", Cancel));
        Assert.Equal((Text(Body(200)), Text(Body(300))), (Text(link.InitializeResult), Text(link.OwnLists)));
        Assert.Equal(Text(Body(600)), Text(Assert.Single(await store.LoadCatalogueAsync(Cancel)).Body));
        Assert.Equal(Text(Body(9)), Text((await store.FindHeldTaskAsync("task", Cancel))!.Meta));
    }

    [Fact]
    public async Task Bodies_LookedForToday_AreNotLookedForAgainBeforeTomorrow_WhoeverSweeps()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync()];
        // Catalogue, sessions and tasks; of each session there is, its links too.
        const int looks = 1 + (2 * DynamoKeys.Shards);
        var first = await SweptAsync(stores[0], TimeSpan.Zero);
        Assert.Equal(looks, first - await SweptAsync(stores[0], TimeSpan.FromHours(6)));
        Assert.Equal(looks, first - await SweptAsync(stores[1], TimeSpan.FromHours(12)));
        Assert.Equal(first, await SweptAsync(stores[1], TimeSpan.FromHours(12)));

        async Task<int> SweptAsync(DynamoDbStore store, TimeSpan later)
        {
            fixture.Clock.Advance(later);
            await fixture.Server.AheadAsync(fixture.Clock.Elapsed);
            // It hears of the time.
            await store.FindSessionAsync("nobody", Cancel);
            await fixture.Server.AskedAsync();
            await store.ExpireEventsAsync(DateTimeOffset.MinValue);
            return (await fixture.Server.AskedAsync())["Query"];
        }
    }

    [Fact]
    public async Task Tokens_AreSweptOnceAnHour_AndCountNoMoreThanTheyAreOver()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync()];
        var now = fixture.Clock.GetUtcNow();
        await stores[0].AddAuthAsync(new AuthRecord { Kind = AuthKind.Client, Key = "k", Data = Body(1), Created = now, Expires = now + TimeSpan.FromMinutes(10) });
        Assert.True(await stores[0].TakeAuthSweepAsync());
        Assert.Equal(1, await stores[0].CountAuthAsync(AuthKind.Client, Cancel));

        for (var minutes = 20; minutes < 60; minutes += 20)
        {
            await PassAsync(TimeSpan.FromMinutes(20));
            Assert.DoesNotContain(true, await Task.WhenAll(stores.Select(store => store.TakeAuthSweepAsync())));
        }

        Assert.Equal(0, await stores[0].CountAuthAsync(AuthKind.Client, Cancel));
        // The service may take it soon.
        var row = await stores[0].Table.GetAsync(DynamoKeys.Auth(AuthKind.Client, "k"), Cancel);
        Assert.InRange(DateTimeOffset.FromUnixTimeSeconds(row!.Number(DynamoKeys.Expires)), now + TimeSpan.FromMinutes(10), now + TimeSpan.FromHours(2));
        await PassAsync(TimeSpan.FromMinutes(21));
        Assert.Single(await Task.WhenAll(stores.Select(store => store.TakeAuthSweepAsync())), isOurs => isOurs);

        async Task PassAsync(TimeSpan time)
        {
            fixture.Clock.Advance(time);
            await fixture.Server.AheadAsync(fixture.Clock.Elapsed);
            await Task.WhenAll(stores.Select(store => store.FindSessionAsync("nobody", Cancel).AsTask()));
        }
    }

    private static ReadOnlyMemory<byte> Body(int kilobytes) => Encoding.UTF8.GetBytes(new string('b', kilobytes * 1024));

    /// <summary>When each chunk in the table may be deleted.</summary>
    private static async Task<Dictionary<string, long>> ChunksAsync(DynamoDbStore store)
    {
        var incarnation = (await store.Table.GetAsync(DynamoKeys.Session("session"), Cancel))!.Text("inc");
        List<Dictionary<string, AttributeValue>> items =
        [
            .. await store.Table.QueryAllAsync(DynamoKeys.All("S").Concat(DynamoKeys.All("HELD")).Select(partition => new DynamoQuery(partition)), Cancel),
            .. await store.Table.QueryAsync(new DynamoQuery(DynamoKeys.CataloguePartition), Cancel),
            .. await store.Table.QueryAsync(new DynamoQuery(DynamoKeys.Children(incarnation)).StartingWith(DynamoKeys.Links), Cancel),
        ];
        var chunks = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            foreach (var blob in item.Where(one => one.Key.EndsWith("_blob", StringComparison.Ordinal)).Select(one => one.Value.S))
            {
                for (var index = 0; await store.Table.GetAsync(DynamoKeys.Chunk(blob, index), Cancel) is { } chunk; index++)
                {
                    chunks[$"{blob} {index}"] = chunk.Number(DynamoKeys.Expires);
                }
            }
        }

        return chunks;
    }
}
