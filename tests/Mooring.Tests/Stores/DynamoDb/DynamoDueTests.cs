using Amazon.DynamoDBv2.Model;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>What is due is found by rows of its own: what a look costs, and that nothing is missed or found wrongly, whatever was left undone.</summary>
public sealed class DynamoDueTests
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private static readonly DateTimeOffset Soon = FakeClock.Start + TimeSpan.FromMinutes(1);

    private static readonly DateTimeOffset Then = FakeClock.Start + TimeSpan.FromMinutes(5);

    private static readonly DateTimeOffset Later = FakeClock.Start + TimeSpan.FromHours(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Look_AtMany_CostsOneQuestion_AndOneForEachThatIsDue()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        for (var i = 0; i < 20; i++)
        {
            await store.SaveCredentialAsync(Credential($"u{i}", 1, i < 2 ? Soon : Later));
        }

        Assert.Equal(2, (await FindAsync(store)).Count);
        await fixture.Server.AskedAsync();
        Assert.Equal(2, (await FindAsync(store)).Count);

        Assert.Equal([("GetItem", 2), ("Query", 1)], await AskedAsync(fixture));
    }

    [Fact]
    public async Task Look_WhereLeasesRun_CostsNothingForThese_AndFindsThemWhenTheyAreGivenBack()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        Assert.Equal(["u"], await FindAsync(store));
        Assert.True(await store.TryLeaseCredentialAsync(Key("u"), 1, "a", Long));
        Assert.False(await store.TryLeaseCredentialAsync(Key("u"), 1, "b", TimeSpan.Zero));
        await fixture.Server.AskedAsync();

        Assert.Empty(await FindAsync(store));

        Assert.Equal([("Query", 1)], await AskedAsync(fixture));
        await store.ReleaseCredentialAsync(Key("u"), "a");
        Assert.Equal(["u"], await FindAsync(store));
    }

    [Fact]
    public async Task Look_AnotherReplicaWroteOneThatIsDueEarlierThanAllElse_FindsItAtOnce()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync()];
        await stores[0].SaveCredentialAsync(Credential("u", 1, Later));
        Assert.Empty(await FindAsync(stores[0]));

        await stores[1].SaveCredentialAsync(Credential("other", 1, Soon));
        Assert.Equal(["other"], await FindAsync(stores[0]));
        await stores[1].SaveCredentialAsync(Credential("u", 2, Soon - TimeSpan.FromTicks(1)));

        Assert.Equal(["u", "other"], await FindAsync(stores[0]));
    }

    [Fact]
    public async Task Change_OfACredential_LeavesNoRowOfWhatItWas()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        await store.SaveCredentialAsync(Credential("u", 2, Later));
        Assert.Equal(DynamoKeys.Due(Key("u"), Later, 2)["sk"].S, Assert.Single(await RowsAsync(store)).Text("sk"));

        await store.SaveCredentialAsync(Credential("u", 3, due: null));
        Assert.Empty(await RowsAsync(store));
        await store.SaveCredentialAsync(Credential("u", 4, Later));
        await store.DeleteCredentialAsync(Key("u"));

        Assert.Empty(await RowsAsync(store));
    }

    [Fact]
    public async Task Row_OfAVersionBefore_IsNotDue_AndIsTakenAway()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        var row = Assert.Single(await RowsAsync(store));
        await store.SaveCredentialAsync(Credential("u", 2, Later));
        // As a process leaves it that dies in between.
        await store.Table.WriteAsync(DynamoWrite.Put(row));

        Assert.Empty(await FindAsync(store));

        Assert.Equal(2, Assert.Single(await RowsAsync(store)).Number("version"));
    }

    [Fact]
    public async Task Row_OfAVersionThatIsNotThereYet_IsNotDue_AndStaysWhileItMayCome()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        var row = Assert.Single(await RowsAsync(store));
        await store.Table.DeleteAsync(DynamoKeys.Credential(Key("u")));

        Assert.Empty(await FindAsync(store));
        Assert.Single(await RowsAsync(store));
        // It comes, and is found.
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        Assert.Equal(["u"], await FindAsync(store));

        await store.Table.DeleteAsync(DynamoKeys.Credential(Key("u")));
        await PassAsync(fixture, store, DynamoDbStore.DueUnderWay + TimeSpan.FromSeconds(10));
        Assert.Empty(await FindAsync(store));
        Assert.Empty(await RowsAsync(store));
    }

    [Fact]
    public async Task Write_Failed_HasItsRowBefore_SoThatWhatComesOfItIsFound()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.FailAsync("UpdateItem");

        await Assert.ThrowsAsync<StoreException>(() => fixture.UntilDoneAsync(store.SaveCredentialAsync(Credential("u", 1, Soon)), "it was given up"));

        await fixture.Server.GoAsync();
        await fixture.UntilBackAsync(store);
        Assert.Equal(1, Assert.Single(await RowsAsync(store)).Number("version"));
    }

    [Fact]
    public async Task Change_WhoseLastWriteFails_IsDoneAllTheSame()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveCredentialAsync(Credential("u", 1, Soon));
        await fixture.Server.FailAsync("DeleteItem");

        Assert.True(await fixture.UntilDoneAsync(store.SaveCredentialAsync(Credential("u", 2, Soon)), "it was written"));

        await fixture.Server.GoAsync();
        await fixture.UntilBackAsync(store);
        Assert.Equal(["u"], await FindAsync(store));
    }

    [Fact]
    public async Task Credentials_OfAReleaseBefore_WhichKeptNoRows_AreFoundWithinTheHour_ByOneReplicaForAll()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync()];
        await KeptBeforeAsync(stores[0], "u");
        Assert.Equal(["u"], await FindAsync(stores[0]));

        await KeptBeforeAsync(stores[0], "late");
        await fixture.Server.AskedAsync();
        Assert.Equal(["u"], await FindAsync(stores[1]));
        // It asked whether it is the one that looks at all of them, and what refused that.
        Assert.Equal([("GetItem", 1 + 1), ("Query", 1), ("UpdateItem", 1)], await AskedAsync(fixture));

        await PassAsync(fixture, stores[0], DynamoDbStore.ListDueEvery + TimeSpan.FromSeconds(10));
        Assert.Equal(["late", "u"], (await FindAsync(stores[1])).Order(StringComparer.Ordinal));
        Assert.Equal(["late", "u"], (await FindAsync(stores[0])).Order(StringComparer.Ordinal));
    }

    private static CredentialKey Key(string subject) => new("https://issuer.example", subject, "google");

    private static CredentialRecord Credential(string subject, long version, DateTimeOffset? due) => new(Key(subject), version, Utf8("body"), due);

    private static async Task<IReadOnlyList<string>> FindAsync(DynamoDbStore store) =>
        [.. (await store.FindDueCredentialsAsync(Then, 100, [], Cancel)).Select(key => key.Subject)];

    private static Task<List<Dictionary<string, AttributeValue>>> RowsAsync(DynamoDbStore store) =>
        store.Table.QueryAsync(new DynamoQuery(DynamoKeys.DuePartition), Cancel);

    private static async Task KeptBeforeAsync(DynamoDbStore store, string subject)
    {
        await store.SaveCredentialAsync(Credential(subject, 1, Soon));
        await store.Table.DeleteAsync(DynamoKeys.Due(Key(subject), Soon, 1));
    }

    private static async Task<IEnumerable<(string, int)>> AskedAsync(DynamoFixture fixture) =>
        (await fixture.Server.AskedAsync()).Select(one => (one.Key, one.Value)).OrderBy(one => one.Key, StringComparer.Ordinal);

    /// <summary>For the service and for this process, which hears of it.</summary>
    private static async Task PassAsync(DynamoFixture fixture, DynamoDbStore store, TimeSpan time)
    {
        fixture.Clock.Advance(time);
        await fixture.Server.AheadAsync(fixture.Clock.Elapsed);
        await store.FindSessionAsync("nobody", Cancel);
    }
}
