using System.Text;
using System.Text.Json.Nodes;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Tests.Routing;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Sessions;

/// <summary>
/// Lists of clients that declare what the gateway does not know. The server here shows each a tool for it, so such lists are right only where the
/// session's own link was asked; and there is no end to them, so nothing of them may be left.
/// </summary>
public sealed class UnsharedListsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-test-").FullName;
    private readonly ListingServer _server = new("a");

    public UnsharedListsTests()
    {
        _server.Fake.Instructions = e => Declared(e) is { } what ? $"for {what}" : null;
        _server.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/list" || e.Session is null)
            {
                return false;
            }

            // Its sessions are named in the order in which they began.
            var what = Declared(_server.Exchanges("initialize")[int.Parse(e.Session[2..], System.Globalization.CultureInfo.InvariantCulture) - 1]);
            e.Result($$"""{"tools":[{{string.Join(',', what is null ? Named("x") : Named("x", what))}}]}""");
            return true;
        };
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Clients_EachDeclareAnother_EachIsShownItsOwn_AndNothingOfThemIsKept()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var before = await SeenByOneAsync(gateway);

        for (var i = 0; i < 3; i++)
        {
            var client = await gateway.MergedAsync(Experimental($"n{i}"));
            Assert.Equal(["a__x", $"a__n{i}"], await client.ListAsync("tools"));
            Assert.Equal($"a:n{i}", await client.CallTextAsync($"a__n{i}"));
            Assert.Equal(["a__x", $"a__n{i}"], await client.ListAsync("tools"));
        }

        Assert.Equal(["a__x"], await (await gateway.MergedAsync()).ListAsync("tools"));
        Assert.Equal(before, await RowsAsync(gateway));
    }

    [Fact]
    public async Task ClientsWithoutSessions_EachDeclareAnother_EachIsShownItsOwn_AndNothingOfThemIsKept()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var before = await SeenByOneAsync(gateway);

        for (var i = 0; i < 3; i++)
        {
            using var reply = await new StatelessClient(gateway.Http, "/mcp", capabilities: Experimental($"n{i}")).RequestAsync("tools/list");
            Assert.Equal(["a__x", $"a__n{i}"], (await reply.MessageAsync())["result"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!));
        }

        Assert.Equal(before, await RowsAsync(gateway));
    }

    [Fact]
    public async Task Client_DeclaresWhatIsNotKnown_AfterARestart_ItsListIsItsOwnStill()
    {
        var stored = new FixtureOptions { Clock = new FakeClock(), Directory = _directory };
        string id;
        await using (var before = await GatewayAsync(stored, _server))
        {
            var client = await before.MergedAsync(Experimental("n"));
            Assert.Equal(["a__x", "a__n"], await client.ListAsync("tools"));
            id = client.SessionId!;
        }

        await using var after = await GatewayAsync(stored, _server);
        var back = after.NewClient(path: "/mcp");
        back.SessionId = id;

        Assert.Equal(["a__x", "a__n"], await back.ListAsync("tools"));
        Assert.Equal(["a__x"], await (await after.MergedAsync()).ListAsync("tools"));
    }

    [Fact]
    public async Task Client_DeclaresWhatIsNotKnown_WhatTheServerSaysToItIsToldToNobodyElse()
    {
        await using var gateway = await GatewayAsync(null, _server);

        Assert.Equal("for n", await InstructionsAsync(gateway, Experimental("n")));
        Assert.Equal("for m", await InstructionsAsync(gateway, Experimental("m")));
        Assert.Null(await InstructionsAsync(gateway, "{}"));
    }

    [Fact]
    public async Task Client_DeclaresWhatIsNotKnown_ShownWhatEverybodyIs_HoldsNoListOfItsOwn()
    {
        await using var gateway = await GatewayAsync(null, _server);
        await gateway.UntilAsync(() => gateway.Get<Catalogue>().Find("a", CatalogueKey.Base)[ListKind.Tools] is not null, "the first look is over");
        var client = await gateway.MergedAsync("""{"extensions":{"x.test/y":{}}}""");
        await client.ListAsync("tools");

        var own = gateway.Session(client).Lists.Of(gateway.Get<Mooring.Upstreams.UpstreamTable>().Find("a")!)![ListKind.Tools];
        Assert.Same(gateway.Get<Catalogue>().Find("a", CatalogueKey.Base)[ListKind.Tools], own);
    }

    [Fact]
    public async Task Clients_DeclareTheSameWrittenOtherwise_ShareWhatTheFirstWasShown()
    {
        await using var gateway = await GatewayAsync(null, _server);
        await (await gateway.MergedAsync("""{"roots":{"listChanged":true},"sampling":{}}""")).ListAsync("tools");
        var asked = _server.Exchanges("initialize").Count;

        Assert.Equal(["a__x"], await (await gateway.MergedAsync(""" { "sampling" : { } , "roots" : { "listChanged" : true } } """)).ListAsync("tools"));

        Assert.Equal(asked, _server.Exchanges("initialize").Count);
    }

    /// <summary>What is kept once the gateway has looked at the server, and a client that declares nothing was shown all of it.</summary>
    private static async Task<List<string>> SeenByOneAsync(GatewayFixture gateway)
    {
        var client = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        var key = gateway.Session(client).Lists.Key(gateway.Get<Mooring.Upstreams.UpstreamTable>().Find("a")!);
        await gateway.UntilAsync(
            () => new[] { CatalogueKey.Base, key }.All(one => ListKinds.All.All(kind => gateway.Get<Catalogue>().Find("a", one)[kind] is not null)), "all lists are known");
        return await RowsAsync(gateway);
    }

    private static string Experimental(string what) => $$$$"""{"experimental":{"{{{{what}}}}":{}}}""";

    /// <summary>The one experimental thing that a client of the server declared.</summary>
    private static string? Declared(UpstreamExchange initialize) =>
        initialize.Message!["params"]!["capabilities"]!["experimental"] is JsonObject { Count: > 0 } all ? all.First().Key : null;

    private static async Task<string?> InstructionsAsync(GatewayFixture gateway, string capabilities)
    {
        var client = gateway.NewClient(path: "/servers/a/mcp");
        var answer = await client.InitializeAsync(capabilities);
        return (string?)answer["result"]!["instructions"];
    }

    private static async Task<List<string>> RowsAsync(GatewayFixture gateway) =>
        [.. (await gateway.Get<IStore>().LoadCatalogueAsync(TestContext.Current.CancellationToken)).Select(r => $"{r.Key} {r.Kind} {Encoding.UTF8.GetString(r.Body.Span)}").Order(StringComparer.Ordinal)];
}
