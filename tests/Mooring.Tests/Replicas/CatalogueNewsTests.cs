using System.Text;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>How a replica comes to what another one has learnt of the servers.</summary>
public sealed class CatalogueNewsTests
{
    [Fact]
    public async Task News_OfOneList_ItsRowAloneIsRead()
    {
        await using var pair = await QuietAsync();
        await pair.Store.Store.SaveCatalogueAsync(new CatalogueRecord("one", "unsaid", "tools", Tools("x").Result, "h", FakeClock.Start));

        pair.A.Get<Catalogue>().Save("one", "k", Tools("x"));

        await pair.A.UntilAsync(() => Has(pair.B, "k"), "the news is there");
        Assert.False(Has(pair.B, "unsaid"));
    }

    [Fact]
    public async Task News_OfAReleaseThatNamesTheServerAlone_AreRead()
    {
        await using var pair = await QuietAsync();
        await pair.Store.Store.SaveCatalogueAsync(new CatalogueRecord("one", "k", "tools", Tools("x").Result, "h", FakeClock.Start));

        pair.A.Get<Peers>().SignalAll("catalogue", "one");

        await pair.A.UntilAsync(() => Has(pair.B, "k"), "the news is there");
    }

    [Fact]
    public async Task News_CouldNotBeRead_ComeWithTheNext()
    {
        await using var pair = await QuietAsync();
        var fails = true;
        pair.Store.Store.Before = operation =>
        {
            var failing = fails && operation == "FindCatalogueAsync";
            fails &= !failing;
            return failing ? Task.FromException(new StoreException("away")) : Task.CompletedTask;
        };
        pair.A.Get<Catalogue>().Save("one", "k", Tools("x"));
        await pair.A.UntilAsync(() => !fails, "it could not be read");
        Assert.False(Has(pair.B, "k"));

        pair.A.Get<Catalogue>().Save("one", "l", Tools("x"));

        await pair.A.UntilAsync(() => Has(pair.B, "k") && Has(pair.B, "l"), "both are there");
    }

    [Fact]
    public async Task Keys_OfBothReplicas_AreBoundTogether()
    {
        await using var pair = await QuietAsync();
        for (var i = 0; i < CatalogueEntries.MostKeys; i++)
        {
            pair.A.Get<Catalogue>().Save("one", $"k{i}", Tools("x"));
        }

        await pair.A.UntilAsync(() => Has(pair.B, $"k{CatalogueEntries.MostKeys - 1}"), "the other has them");

        pair.B.Get<Catalogue>().Save("one", "new", Tools("x"));

        await pair.A.UntilAsync(() => Has(pair.A, "new"), "the news is there");
        var rows = await pair.Store.Store.LoadCatalogueAsync(TestContext.Current.CancellationToken);
        Assert.InRange(rows.Where(row => row.Key != CatalogueKey.Base).Select(row => row.Key).Distinct().Count(), 1, CatalogueEntries.MostKeys);
        Assert.Contains("new", rows.Select(row => row.Key));
    }

    /// <summary>A pair that has nothing more to tell of what its server showed at the start.</summary>
    private static async Task<ReplicaPair> QuietAsync()
    {
        var pair = await ReplicaPair.StartAsync();
        await pair.UntilAsync(
            () => ListKinds.All.All(kind => pair.A.Get<Catalogue>().Find("one", CatalogueKey.Base)[kind] is not null && pair.B.Get<Catalogue>().Find("one", CatalogueKey.Base)[kind] is not null),
            "both know the server");
        await pair.PassAsync(TimeSpan.FromSeconds(3));

        // Signals are heard in order: whatever had everything read was heard before this.
        pair.A.Get<Catalogue>().Save("one", "quiet", Tools("x"));
        await pair.A.UntilAsync(() => Has(pair.B, "quiet"), "it hears");
        return pair;
    }

    private static bool Has(GatewayFixture gateway, string key) => gateway.Get<Catalogue>().Find("one", key)[ListKind.Tools] is not null;

    private static ServerList Tools(string name) => ServerList.Of(ListKind.Tools, Encoding.UTF8.GetBytes($$"""{"tools":[{"name":"{{name}}"}]}"""));
}
