using System.Text.Json.Nodes;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>What a server says of itself to somebody's account.</content>
public sealed partial class AccountTests
{
    private const string Private = "You work as ann in Payroll.";

    [Theory]
    [InlineData("/servers/one/mcp")]
    [InlineData("/mcp")]
    public async Task Said_ToSomebodysAccount_IsShownToNobodyElse_AndIsNotInTheSharedLists(string path)
    {
        _server.Instructions = exchange => exchange.Header("Authorization") == "Bearer token-1" ? Private : "For others.";
        await StartAsync();
        var ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(ann));
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());

        var hello = await _gateway.NewClient(path: path, user: "bob").InitializeAsync(Url);
        var bob = new StatelessClient(_gateway.Http, path, "bob", Url);
        using var discovered = await Limit.Of(bob.RequestAsync("server/discover"), "what is found out");

        Assert.DoesNotContain("Payroll", hello.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain("Payroll", (await discovered.MessageAsync()).ToJsonString(), StringComparison.Ordinal);
        var kept = await _gateway.Get<IStore>().LoadCatalogueAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain(kept, record => record.Server == "one" && record.Kind == "initialize");
    }

    [Fact]
    public async Task Said_ToTheOwnAccount_IsShownOnTheServersOwnRoute()
    {
        _server.Instructions = exchange => exchange.Header("Authorization") == "Bearer token-1" ? Private : null;
        await StartAsync();
        var ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(ann));

        var hello = await _gateway.NewClient(user: "ann").InitializeAsync(Url);
        var again = new StatelessClient(_gateway.Http, user: "ann", capabilities: Url);
        using var discovered = await Limit.Of(again.RequestAsync("server/discover"), "what is found out");

        Assert.Equal(Private, (string?)hello["result"]!["instructions"]);
        Assert.Equal(Private, (string?)(await discovered.MessageAsync())["result"]!["instructions"]);
    }

    [Fact]
    public async Task Said_KeptByAReleaseBefore_IsTakenOutOfTheStoreAtTheStart()
    {
        static CatalogueRecord Row(string server, string kind, JsonObject body) =>
            new(server, "base", kind, System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()), "", DateTimeOffset.UnixEpoch);
        var before = new JsonObject { ["protocolVersion"] = "2025-11-25", ["capabilities"] = new JsonObject(), ["instructions"] = Private };
        await StartAsync(store: clock =>
        {
            var store = new FaultyStore(clock);
            foreach (var row in new[] { Row("one", "initialize", before), Row("one", "era", new JsonObject { ["era"] = "sessions" }), Row("another", "initialize", before) })
            {
                Assert.True(store.SaveCatalogueAsync(row).IsCompletedSuccessfully);
            }

            return store;
        });

        var hello = await _gateway.NewClient(user: "bob").InitializeAsync(Url);

        Assert.DoesNotContain("Payroll", hello.ToJsonString(), StringComparison.Ordinal);
        var kept = await _gateway.Get<IStore>().LoadCatalogueAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["another initialize", "one era"], kept.Select(record => $"{record.Server} {record.Kind}").Where(name => !name.StartsWith("one tools", StringComparison.Ordinal)).Order());
    }
}
