using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Routing;

public sealed class MergedMessagesTests
{
    private static readonly FixtureOptions Shared = new() { Server = s => s with { Scope = LinkScope.Shared } };

    private readonly ListingServer _a = new("a");
    private readonly ListingServer _b = new("b");

    [Fact]
    public async Task UnknownMethod_PassesOnTheSingleRouteAsItCameAndIsNotFoundOnTheMergedOne()
    {
        _a.Before = e =>
        {
            if ((string?)e.Message?["method"] != "x/new")
            {
                return false;
            }

            e.Result("""{ "new" : 1.0 }""");
            return true;
        };
        await using var gateway = await GatewayAsync(null, _a, _b);
        var single = await gateway.ClientAsync(path: "/servers/a/mcp");
        var merged = await gateway.MergedAsync();

        using var reply = await single.RequestAsync("x/new", """{ "deep":{"\u0061":1.00} , "name":"a__x" }""", id: "\"i\"");

        Assert.Equal("""{"jsonrpc":"2.0","id":"i","result":{ "new" : 1.0 }}""", await reply.BodyAsync());
        Assert.Contains("""{ "deep":{"\u0061":1.00} , "name":"a__x" }""", Assert.Single(_a.Exchanges("x/new")).Body, StringComparison.Ordinal);
        Assert.Equal(-32601, (int?)(await merged.AskAsync("x/new"))["error"]!["code"]);
        Assert.Single(_a.Exchanges("x/new"));
    }

    [Fact]
    public async Task UnknownNotifications_PassBothWays()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();
        await client.ResultAsync("a__x");
        using var stream = await client.GetAsync();

        await client.NotifyAsync("notifications/x/new", """{"k":1.0}""");
        await gateway.UntilAsync(() => _a.Exchanges("notifications/x/new").Count > 0, "the server heard it");
        await (await _a.StreamOfLatestAsync("tools/call")).SendAsync("""{"jsonrpc":"2.0","method":"notifications/x/own","params":{"n":1.50}}""");

        Assert.Contains("""{"k":1.0}""", _a.Exchanges("notifications/x/new")[0].Body, StringComparison.Ordinal);
        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/x/own","params":{"n":1.50}}""", (await stream.Events.EventAsync()).Data);
    }

    [Theory]
    [InlineData("/mcp", "a__x")]
    [InlineData("/servers/a/mcp", "x")]
    public async Task MetaAndUnknownFields_PassByteForByteBothWays(string path, string tool)
    {
        _a.CallResult = """{"content":[{"type":"text","text":"\u00fc","x-new":1.0}], "_meta" : {"a/b":[1.50,null]} , "x-new":{"uri":"u"}}""";
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.ClientAsync(path: path);

        using var reply = await client.PostAsync(
            """{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{ "_meta" : {"a/b":[1.50,null],"c":"\u00fc"},"x-new":{"name":"x"} , "name":"TOOL","arguments":{"name":"a__x","n":12345678901234567890}}}"""
                .Replace("TOOL", tool, StringComparison.Ordinal));

        Assert.Equal("""{"jsonrpc":"2.0","id":77,"result":""" + _a.CallResult + "}", await reply.BodyAsync());
        Assert.Contains(
            """{ "_meta" : {"a/b":[1.50,null],"c":"\u00fc"},"x-new":{"name":"x"} , "name":"x","arguments":{"name":"a__x","n":12345678901234567890}}""",
            Assert.Single(_a.Exchanges("tools/call")).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Arguments_ThatAreAbsent_StayAbsent()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();

        await client.AskAsync("tools/call", """{"name":"a__x"}""");

        Assert.Equal(["""{"name":"x"}"""], _a.Params("tools/call"));
    }

    [Fact]
    public async Task Pages_OfTwoServersUnderTheSameId_AreToldApart()
    {
        foreach (var server in new[] { _a, _b })
        {
            server.CallResult = """{"content":[],"structuredContent":{"elicitationId":"e1"}}""";
        }

        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync("""{"elicitation":{"url":{}}}""");
        Assert.Equal("e1", (string?)(await client.ResultAsync("a__x"))["result"]!["structuredContent"]!["elicitationId"]);
        await client.ResultAsync("b__x");
        using var stream = await client.GetAsync();

        foreach (var server in new[] { _a, _b })
        {
            var said = await server.StreamOfLatestAsync("tools/call");
            await said.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"mode":"url","message":"Visit.","url":"https://a.test/","elicitationId":"e1"}}""");
            Assert.Equal($"{server.Name}.e1", (string?)(await stream.Events.MessageAsync())["params"]!["elicitationId"]);
            await said.SendAsync("""{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e1"}}""");
            Assert.Equal($"{server.Name}.e1", (string?)(await stream.Events.MessageAsync())["params"]!["elicitationId"]);
            server.Before = e => (string?)e.Message?["method"] == "tools/call" && NeedsAPage(e);
            var refused = (await client.ResultAsync($"{server.Name}__x"))["error"]!;
            Assert.Equal((-32042, $"{server.Name}.e1"), ((int)refused["code"]!, (string?)refused["data"]!["elicitations"]![0]!["elicitationId"]));
        }

        static bool NeedsAPage(UpstreamExchange call)
        {
            call.Status(System.Net.HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{call.Id}}}},"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://a.test/","message":"m"}]}}}""");
            return true;
        }
    }

    [Fact]
    public async Task SharedLink_DeclaresNothingAndRefusesWhatServersAsk()
    {
        await using var gateway = await GatewayAsync(Shared, _a);
        var client = await gateway.MergedAsync("""{"sampling":{},"elicitation":{},"roots":{"listChanged":true}}""");
        await client.ResultAsync("a__x");

        Assert.Equal("{}", Assert.Single(_a.Fake.Messages("initialize"))["params"]!["capabilities"]!.ToJsonString());
        var stream = await _a.StreamOfLatestAsync("tools/call");
        await stream.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}""");
        await stream.SendAsync("""{"jsonrpc":"2.0","id":"p","method":"ping"}""");

        await gateway.UntilAsync(() => Answers().Count == 2, "both were answered");
        Assert.Equal(-32601, (int?)Answers().Single(m => (string?)m["id"] == "q")["error"]!["code"]);
        Assert.Equal("{}", Answers().Single(m => (string?)m["id"] == "p")["result"]!.ToJsonString());

        List<JsonObject> Answers() => [.. _a.Fake.Requests.Select(e => e.Message).OfType<JsonObject>().Where(m => m["method"] is null && m["id"] is not null)];
    }

    [Fact]
    public async Task SharedLink_EqualIdsAndTokensOfTwoClients_DoNotMeet()
    {
        var held = new System.Collections.Concurrent.ConcurrentQueue<UpstreamExchange>();
        _a.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            held.Enqueue(e);
            return true;
        };
        await using var gateway = await GatewayAsync(Shared, _a);
        var (one, two) = (await gateway.MergedAsync(), await gateway.MergedAsync());
        var first = one.CallAsync("a__x", """{"who":1}""", id: "5", meta: """{"progressToken":"t"}""");
        await gateway.UntilAsync(() => held.Count == 1, "the first call came");
        var second = two.CallAsync("a__x", """{"who":2}""", id: "5", meta: """{"progressToken":"t"}""");
        await gateway.UntilAsync(() => held.Count == 2, "the second call came");

        var calls = held.ToDictionary(e => (int)e.Message!["params"]!["arguments"]!["who"]!);
        Assert.NotEqual(calls[1].Id, calls[2].Id);
        Assert.NotEqual(calls[1].ProgressToken, calls[2].ProgressToken);
        await calls[2].ProgressAsync(22);
        await calls[1].ProgressAsync(11);
        await calls[2].SendTextAsync("two");
        await calls[1].SendTextAsync("one");

        using var ofOne = await gateway.PassTimeAsync(first, TimeSpan.FromSeconds(2), "the first answer begins");
        using var ofTwo = await gateway.PassTimeAsync(second, TimeSpan.FromSeconds(2), "the second answer begins");
        foreach (var (reply, progress, text) in new[] { (ofOne, 11, "one"), (ofTwo, 22, "two") })
        {
            var note = (await reply.Events.MessageAsync())["params"]!;
            Assert.Equal(("t", progress), ((string?)note["progressToken"], (int)note["progress"]!));
            var answer = await reply.Events.MessageAsync();
            Assert.Equal((5, text), ((int)answer["id"]!, (string?)answer["result"]!["content"]![0]!["text"]));
        }
    }

    [Fact]
    public async Task SharedLink_Subscriptions_AreCountedOverSessions()
    {
        _a.Resources = Uris("u:1");
        _b.Resources = Uris("u:1");
        await using var gateway = await GatewayAsync(Shared, _a, _b);
        var (one, two, deaf) = (await gateway.MergedAsync(), await gateway.MergedAsync(), await gateway.MergedAsync());
        await one.ListAsync("resources");
        const string Uri = """{"uri":"mooring+b:u:1"}""";
        await one.AskAsync("resources/subscribe", Uri);
        await two.AskAsync("resources/subscribe", Uri);
        using var streamOne = await one.GetAsync();
        using var streamTwo = await two.GetAsync();
        using var streamDeaf = await deaf.GetAsync();

        await one.AskAsync("resources/unsubscribe", Uri);
        Assert.Empty(_b.Exchanges("resources/unsubscribe"));

        var announced = await _b.StreamOfLatestAsync("resources/subscribe");
        await announced.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u:1"}}""");
        Assert.Equal("mooring+b:u:1", (string?)(await streamTwo.Events.MessageAsync())["params"]!["uri"]);
        // Only the one that still listens heard of it: the next that the others hear is the list.
        _b.Tools = Named("x", "y");
        await announced.SendAsync("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
        Assert.Equal("notifications/tools/list_changed", (string?)(await streamOne.Events.MessageAsync())["method"]);
        Assert.Equal("notifications/tools/list_changed", (string?)(await streamDeaf.Events.MessageAsync())["method"]);

        using (await two.DeleteAsync())
        {
            await gateway.UntilAsync(() => _b.Exchanges("resources/unsubscribe").Count == 1, "the server may forget it");
        }

        Assert.Equal(["""{"uri":"u:1"}"""], _b.Params("resources/unsubscribe"));
        Assert.Empty(_a.Exchanges("resources/subscribe"));
        Assert.Empty(_a.Exchanges("resources/unsubscribe"));
    }

    [Fact]
    public async Task SharedLink_LevelChanged_SubscribesNobodyElsesUris()
    {
        _a.Resources = Uris("u:1");
        _b.Resources = Uris("u:1");
        await using var gateway = await GatewayAsync(Shared, _a, _b);
        var client = await gateway.MergedAsync();
        await client.ListAsync("resources");
        await client.AskAsync("resources/subscribe", """{"uri":"mooring+b:u:1"}""");

        await client.AskAsync("logging/setLevel", """{"level":"error"}""");
        await gateway.UntilAsync(() => _b.Exchanges("logging/setLevel").Count == 1, "the level was set");
        await gateway.UntilAsync(() => _b.Exchanges("resources/subscribe").Count == 2, "it was subscribed again");

        Assert.All(_b.Params("resources/subscribe"), p => Assert.Equal("""{"uri":"u:1"}""", p));
        Assert.Empty(_a.Exchanges("resources/subscribe"));
    }

    [Fact]
    public async Task SharedLink_Level_IsTheMostVerboseAndEachSessionHearsItsOwn()
    {
        var held = new System.Collections.Concurrent.ConcurrentQueue<UpstreamExchange>();
        _a.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            held.Enqueue(e);
            return true;
        };
        await using var gateway = await GatewayAsync(Shared, _a, _b);
        var (quiet, loud) = (await gateway.MergedAsync(), await gateway.MergedAsync());
        // The link is there once the list is.
        await quiet.ListAsync("tools");
        await quiet.AskAsync("logging/setLevel", """{"level":"error"}""");
        await gateway.UntilAsync(() => _a.Exchanges("logging/setLevel").Count == 1, "the first level came");
        await loud.AskAsync("logging/setLevel", """{"level":"info"}""");
        await gateway.UntilAsync(() => _a.Exchanges("logging/setLevel").Count == 2, "the second level came");
        await quiet.AskAsync("logging/setLevel", """{"level":"alert"}""");
        await gateway.UntilAsync(() => _a.Exchanges("logging/setLevel").Count == 3, "the third level came");
        await gateway.UntilAsync(() => _b.Exchanges("logging/setLevel").Count == 3, "they came to the other one too");
        foreach (var server in new[] { _a, _b })
        {
            Assert.Equal(["""{"level":"error"}""", """{"level":"info"}""", """{"level":"info"}"""], server.Params("logging/setLevel"));
        }

        foreach (var (client, levels) in new[] { (quiet, new[] { "emergency" }), (loud, new[] { "info", "emergency" }) })
        {
            var calling = client.CallAsync("a__x");
            await gateway.UntilAsync(() => !held.IsEmpty, "the call came");
            Assert.True(held.TryDequeue(out var call));
            foreach (var level in new[] { "debug", "info", "emergency" })
            {
                await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"LEVEL","data":{"uri":"u"}}}""".Replace("LEVEL", level, StringComparison.Ordinal));
            }

            await call.SendTextAsync("done");
            using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromSeconds(2), "the answer begins");
            foreach (var level in levels)
            {
                Assert.Equal(level, (string?)(await reply.Events.MessageAsync())["params"]!["level"]);
            }

            Assert.NotNull((await reply.Events.MessageAsync())["result"]);
        }
    }

    [Fact]
    public async Task SessionLinks_HaveTheirOwnLevels()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var (one, two) = (await gateway.MergedAsync(), await gateway.MergedAsync());
        await one.ResultAsync("a__x");
        await two.AskAsync("logging/setLevel", """{"level":"debug"}""");
        Assert.Empty(_a.Exchanges("logging/setLevel"));

        await two.ResultAsync("a__x");
        await one.AskAsync("logging/setLevel", """{"level":"alert"}""");
        await gateway.UntilAsync(() => _a.Exchanges("logging/setLevel").Count == 2, "both have their level");

        var calls = _a.Exchanges("tools/call").Select(e => e.Session).ToList();
        Assert.Equal([(calls[1], "debug"), (calls[0], "alert")], _a.Exchanges("logging/setLevel").Select(e => (e.Session, (string)e.Message!["params"]!["level"]!)));
        await two.ResultAsync("b__x");
        await one.ResultAsync("b__x");
        await gateway.UntilAsync(() => _b.Exchanges("logging/setLevel").Count == 2, "both have it at the other server, too");
        var others = _b.Exchanges("tools/call").Select(e => e.Session).ToList();
        Assert.Equal(
            new[] { (others[0], "debug"), (others[1], "alert") }.ToHashSet(), _b.Exchanges("logging/setLevel").Select(e => (e.Session, (string)e.Message!["params"]!["level"]!)).ToHashSet());
        Assert.Equal(-32602, (int?)(await one.AskAsync("logging/setLevel", """{"level":"loud"}"""))["error"]!["code"]);
    }
}
