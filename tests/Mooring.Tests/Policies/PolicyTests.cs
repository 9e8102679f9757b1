using System.Net;
using System.Text.Json.Nodes;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Tests.Auth;
using Mooring.Tests.Replicas;
using Mooring.Tests.Routing;
using Xunit;

namespace Mooring.Tests.Policies;

/// <summary>What the rules do to every path: lists, calls, prompts, resources, both routes, clients with sessions and without.</summary>
public sealed class PolicyTests
{
    private const string Ann = "https://issuer.test#ann";

    private const string NotAllowed = "The policies of this gateway do not let you use";

    private static string[] Tools =>
    [
        """{"name":"read","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}""",
        """{"name":"write","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":false}}""",
        """{"name":"says_nothing","inputSchema":{"type":"object"}}""",
    ];

    [Theory]
    [InlineData("/mcp", "a__")]
    [InlineData("/servers/a/mcp", "")]
    public async Task ReadOnly_ListsAndRuns_OnlyToolsThatSayThatTheyOnlyRead(string path, string prefix)
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.ReadOnly, users: [Ann], servers: ["a"])), a, b);
        var (ann, ben) = (await gateway.ClientAsync(path: path, user: "ann"), await gateway.ClientAsync(path: path, user: "ben"));

        Assert.Equal([prefix + "read"], (await ann.ListAsync("tools")).Where(name => path != "/mcp" || name.StartsWith(prefix, StringComparison.Ordinal)));
        Assert.Equal([prefix + "read", prefix + "write", prefix + "says_nothing"], (await ben.ListAsync("tools")).Where(name => path != "/mcp" || name.StartsWith(prefix, StringComparison.Ordinal)));
        Assert.Equal("a:read", await ann.CallTextAsync(prefix + "read"));
        foreach (var tool in new[] { "write", "says_nothing", "nobody_knows_it" })
        {
            var refused = await ann.ResultAsync(prefix + tool);
            Assert.Equal((-32000, $"{NotAllowed} the tool \"{prefix}{tool}\"."), (refused.ErrorCode(), (string?)refused["error"]!["message"]));
            Assert.Equal("""{"reason":"policy"}""", refused["error"]!["data"]!.ToJsonString());
        }

        Assert.Equal("a:write", await ben.CallTextAsync(prefix + "write"));
        Assert.DoesNotContain(a.Params("tools/call"), call => call.Contains("nobody", StringComparison.Ordinal));
        // Prompts and resources are reads.
        Assert.Equal(prefix.Length == 0 ? ["p"] : ["a__p", "b__p"], await ann.ListAsync("prompts"));
        Assert.NotNull((await ann.ReadAsync("a://r"))["result"]);
    }

    [Fact]
    public async Task ReadOnly_NothingIsKnownOfTheToolYet_ItsServerIsAskedFirst()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.ReadOnly), a, b);
        // Nobody has asked for a list: initialize is answered by what everything could be.
        var client = await gateway.ClientAsync(path: "/mcp", user: "ann");

        Assert.Equal("a:read", await client.CallTextAsync("a__read"));
        Assert.Equal(-32000, (await client.ResultAsync("b__write")).ErrorCode());
        Assert.Empty(b.Params("tools/call"));
    }

    [Fact]
    public async Task Deny_OfAServer_HidesAndRefusesAllThatItHas_AndItHearsNothing()
    {
        var (a, b) = Servers();
        b.Instructions = "How to use b.";
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"])), a, b);
        var ben = await gateway.ClientAsync(path: "/mcp", user: "ben");
        Assert.Equal(["a__read", "a__write", "a__says_nothing", "b__read", "b__write", "b__says_nothing"], await ben.ListAsync("tools"));
        Assert.Equal(["a__p", "b__p"], await ben.ListAsync("prompts"));
        Assert.Equal(["a://r", "b://r"], await ben.ListAsync("resources"));
        Assert.Equal(["a://t/{x}", "b://t/{x}"], await ben.ListAsync("resourceTemplates"));
        var asked = b.Fake.Requests.Count;

        var ann = gateway.NewClient(path: "/mcp", user: "ann");
        var hello = await ann.InitializeAsync();
        Assert.DoesNotContain("How to use b", hello.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(["a__read", "a__write", "a__says_nothing"], await ann.ListAsync("tools"));
        Assert.Equal(["a__p"], await ann.ListAsync("prompts"));
        Assert.Equal(["a://r"], await ann.ListAsync("resources"));
        Assert.Equal(["a://t/{x}"], await ann.ListAsync("resourceTemplates"));
        foreach (var (method, parameters) in new[]
        {
            ("tools/call", """{"name":"b__read"}"""), ("prompts/get", """{"name":"b__p"}"""), ("resources/read", """{"uri":"b://r"}"""), ("resources/read", """{"uri":"b://t/1"}"""),
            ("resources/subscribe", """{"uri":"b://r"}"""), ("resources/unsubscribe", """{"uri":"b://r"}"""),
            ("completion/complete", """{"ref":{"type":"ref/prompt","name":"b__p"},"argument":{"name":"x","value":""}}"""),
            ("completion/complete", """{"ref":{"type":"ref/resource","uri":"b://t/{x}"},"argument":{"name":"x","value":""}}"""),
            ("tasks/get", """{"taskId":"b:1"}"""),
        })
        {
            var answer = await ann.AskAsync(method, parameters);
            Assert.True(((string?)answer["error"]?["message"])?.StartsWith(NotAllowed, StringComparison.Ordinal) == true || method == "tasks/get", $"{method}: {answer.ToJsonString()}");
            Assert.NotNull(answer["error"]);
        }

        Assert.Equal(asked, b.Fake.Requests.Count);
        Assert.NotNull((await ben.ReadAsync("b://r"))["result"]);
    }

    [Fact]
    public async Task Deny_OfAServer_ItsOwnRouteIs403ForEveryRequest_AndOpenToOthers()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"])), a, b);

        foreach (var method in new[] { HttpMethod.Post, HttpMethod.Get, HttpMethod.Delete })
        {
            foreach (var path in new[] { "/servers/b/mcp", "/servers/b/sse" }.Where(path => method == HttpMethod.Get || path != "/servers/b/sse"))
            {
                var (status, body, _) = await gateway.SendAsync(method, path, null, ("X-Test-User", "ann"));
                Assert.Equal(HttpStatusCode.Forbidden, status);
                Assert.Contains("do not let you use the server", body, StringComparison.Ordinal);
            }
        }

        await gateway.ClientAsync(path: "/servers/b/mcp", user: "ben");
        await gateway.ClientAsync(path: "/servers/a/mcp", user: "ann");
    }

    [Fact]
    public async Task Deny_OfTools_LeavesTheRestOfTheServer()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, tools: ["w*", "says_*"])), a, b);
        var client = await gateway.ClientAsync(path: "/mcp");

        Assert.Equal(["a__read", "b__read"], await client.ListAsync("tools"));
        Assert.Equal(["a__p", "b__p"], await client.ListAsync("prompts"));
        Assert.Equal(-32000, (await client.ResultAsync("a__write")).ErrorCode());
    }

    [Fact]
    public async Task Method_ThatNobodyHereKnows_PassesOnlyWhereAllIsAllowed()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.ReadOnly, users: [Ann])) } });
        var (ann, ben) = (await gateway.ClientAsync(user: "ann"), await gateway.ClientAsync(user: "ben"));

        Assert.StartsWith(NotAllowed, (string?)(await ann.AskAsync("custom/erase"))["error"]!["message"], StringComparison.Ordinal);
        Assert.Empty(gateway.Upstream.Messages("custom/erase"));
        await ben.AskAsync("custom/erase");
        Assert.Single(gateway.Upstream.Messages("custom/erase"));
    }

    /// <summary>A server may find its tool under a key that the gateway does not know.</summary>
    [Theory]
    [InlineData("""{"title":"write"}""", -32000)]
    [InlineData("""{"Name":"write"}""", -32600)]
    [InlineData("""{"name":"read","NAME":"write"}""", -32600)]
    public async Task Call_ThatNamesItsToolInAnotherWay_IsRefused(string parameters, int code)
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, tools: ["write"])), a, b);
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");

        Assert.Equal(code, (await client.AskAsync("tools/call", parameters)).ErrorCode());
        Assert.Empty(a.Params("tools/call"));
    }

    [Fact]
    public async Task Notification_GoesOnlyToServersThatItsSenderMayUse_AndOfARequestNoneIsMade()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(new PoliciesConfig(), a, b);
        var ann = await gateway.ClientAsync(path: "/mcp", user: "ann");
        await ann.CallTextAsync("a__read");
        await ann.CallTextAsync("b__read");
        gateway.Config.Replace(gateway.Config.Current with
        {
            Policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"]), Rule(PolicyEffect.Deny, users: [Ann], servers: ["a"], tools: ["write"])),
        });

        using (var refused = await ann.PostAsync("""{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a__write"}}"""))
        {
            Assert.Equal(HttpStatusCode.BadRequest, refused.Status);
        }

        await ann.NotifyAsync("notifications/roots/list_changed");
        await ann.NotifyAsync("custom/erase");
        await gateway.UntilAsync(() => a.Params("custom/erase").Any() && a.Params("notifications/roots/list_changed").Any(), "the one it may use has heard it");

        Assert.Empty(b.Params("custom/erase"));
        Assert.Empty(b.Params("notifications/roots/list_changed"));
        Assert.Single(a.Params("tools/call"));
    }

    [Theory]
    [InlineData("/mcp")]
    [InlineData("/servers/a/mcp")]
    public async Task Pages_OfAFilteredList_HaveWhatIsShownAndCursorsOfTheirOwn(string path)
    {
        var a = new ListingServer("a", ListingServer.Named([.. Enumerable.Range(0, 2400).Select(i => i % 2 == 0 ? $"even{i}" : $"odd{i}")]));
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], tools: ["odd*"])), a);
        var (ann, ben) = (await gateway.ClientAsync(path: path, user: "ann"), await gateway.ClientAsync(path: path, user: "ben"));

        var first = (await ann.AskAsync("tools/list"))["result"]!;
        var rest = (await ann.AskAsync("tools/list", $$"""{"cursor":{{first["nextCursor"]!.ToJsonString()}}}"""))["result"]!;

        var shown = first["tools"]!.AsArray().Concat(rest["tools"]!.AsArray()).Select(tool => ((string)tool!["name"]!).Split("__")[^1]).ToList();
        Assert.Equal(Enumerable.Range(0, 1200).Select(i => $"even{2 * i}"), shown);
        Assert.Null(rest["nextCursor"]);
        // Of a list that he does not see.
        Assert.Equal(-32602, (await ben.AskAsync("tools/list", $$"""{"cursor":{{first["nextCursor"]!.ToJsonString()}}}""")).ErrorCode());
        Assert.Equal(1000, (await ben.AskAsync("tools/list"))["result"]!["tools"]!.AsArray().Count);
    }

    [Fact]
    public async Task ListOfOne_IsNeverShownToAnother_HoweverTheyTakeTurns()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Deny, Rule(PolicyEffect.Allow, users: [Ann], servers: ["a"]), Rule(PolicyEffect.Allow, users: ["https://issuer.test#ben"], servers: ["b"])), a, b);
        var (ann, ben) = (await gateway.ClientAsync(path: "/mcp", user: "ann"), await gateway.ClientAsync(path: "/mcp", user: "ben"));
        var nobody = await gateway.ClientAsync(path: "/mcp");

        for (var turn = 0; turn < 3; turn++)
        {
            Assert.Equal(["a__read", "a__write", "a__says_nothing"], await ann.ListAsync("tools"));
            Assert.Equal(["b__read", "b__write", "b__says_nothing"], await ben.ListAsync("tools"));
            Assert.Empty(await nobody.ListAsync("tools"));
        }
    }

    [Theory]
    [InlineData("/mcp", "a__")]
    [InlineData("/servers/a/mcp", "")]
    public async Task WithoutSessions_ListsCallsAndDiscover_AreTheCallersOwn_AndPrivate(string path, string prefix)
    {
        var (a, b) = Servers();
        a.Before = exchange =>
        {
            if ((string?)exchange.Message?["method"] != "tools/list")
            {
                return false;
            }

            exchange.Result($$"""{"tools":[{{string.Join(',', Tools)}}],"ttlMs":60000,"cacheScope":"public"}""");
            return true;
        };
        b.Instructions = "How to use b.";
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"]), Rule(PolicyEffect.ReadOnly, users: [Ann])), a, b);
        var (ann, ben) = (new StatelessClient(gateway.Http, path, "ann"), new StatelessClient(gateway.Http, path, "ben"));
        await (await gateway.ClientAsync(path: "/mcp", user: "ben")).ListAsync("tools");

        var lists = (await ann.ResultAsync("tools/list"))["result"]!;
        Assert.Equal([prefix + "read"], lists["tools"]!.AsArray().Select(tool => (string)tool!["name"]!));
        Assert.Equal("private", (string?)lists["cacheScope"]);
        // All that there is, but not everybody's.
        Assert.Equal("private", (string?)(await ben.ResultAsync("tools/list"))["result"]!["cacheScope"]);
        Assert.DoesNotContain("How to use b", (await ann.ResultAsync("server/discover")).ToJsonString(), StringComparison.Ordinal);

        Assert.NotNull((await (await ann.CallAsync(prefix + "read")).MessageAsync())["result"]);
        var refused = await (await ann.CallAsync(prefix + "write")).MessageAsync();
        Assert.Equal((-32000, $"{NotAllowed} the tool \"{prefix}write\"."), (refused.ErrorCode(), (string?)refused["error"]!["message"]));
        Assert.Single(a.Params("tools/call"));
    }

    [Fact]
    public async Task WithoutPolicies_AServersWordOnCaching_Stays()
    {
        var a = new ListingServer("a") { Before = Public };
        await using var gateway = await StartAsync(new PoliciesConfig(), a);

        Assert.Equal("public", (string?)(await new StatelessClient(gateway.Http, "/servers/a/mcp").ResultAsync("tools/list"))["result"]!["cacheScope"]);

        static bool Public(UpstreamExchange exchange)
        {
            if ((string?)exchange.Message?["method"] != "tools/list")
            {
                return false;
            }

            exchange.Result("""{"tools":[],"ttlMs":60000,"cacheScope":"public"}""");
            return true;
        }
    }

    [Fact]
    public async Task Keys_OfOneUserInDifferentGroups_SeeWhatEachMay_AlsoInOneSession()
    {
        var (a, b) = Servers();
        var policies = Policy(PolicyEffect.Deny, Rule(PolicyEffect.Allow, groups: ["support"], servers: ["a"]), Rule(PolicyEffect.Allow, roles: ["lead"], servers: ["b"]));
        await using var gateway = await Asking.GatewayAsync(new FixtureOptions { Config = c => c with { Auth = AuthFixture.Keys, Policies = policies } }, a, b);
        var keys = new ApiKeys(gateway.Get<IAuthStore>(), gateway.Clock);
        var support = (await keys.CreateAsync("ann", null, [Scopes.Use], ["support"], null)).Secret;
        var lead = (await keys.CreateAsync("ann", null, [Scopes.Use], [], null, ["lead"])).Secret;
        var client = await gateway.ClientWithAsync(support, path: "/mcp");

        Assert.Equal(["a__p"], await client.ListAsync("prompts"));
        Assert.Equal(["b__p"], await client.With(lead).ListAsync("prompts"));
        Assert.Equal("b:read", await client.CallTextAsync("b__read"));
        Assert.Equal(-32000, (await client.With(support).ResultAsync("b__read")).ErrorCode());
        Assert.Equal("a:read", await client.CallTextAsync("a__read"));
    }

    [Fact]
    public async Task Server_ThatIsDeniedAndThatNobodyHasSeenYet_IsNotAsked()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, servers: ["b"])), a, b);
        var client = await gateway.ClientAsync(path: "/mcp");
        await LookedAtAsync(gateway, "b");
        var asked = b.Exchanges("prompts/list").Count;

        Assert.Equal(["a__p"], await client.ListAsync("prompts"));
        Assert.Equal(-32000, (await client.ResultAsync("b__read")).ErrorCode());

        // The gateway's own look at the start belongs to nobody.
        Assert.Equal(asked, b.Exchanges("prompts/list").Count);
        Assert.DoesNotContain(gateway.Session(client).Links.Open, link => link.Upstream.Name == "b");
        Assert.Null(gateway.Session(client).Lists.Of(gateway.Get<Mooring.Upstreams.UpstreamTable>().Find("b")!));
    }

    [Fact]
    public async Task WithoutSessions_TokensOfOneUserInDifferentGroups_HearWhatEachMay()
    {
        var (a, b) = Servers();
        var policies = Policy(PolicyEffect.Deny, Rule(PolicyEffect.Allow, groups: ["support"], servers: ["a"]), Rule(PolicyEffect.Allow, groups: ["lead"], servers: ["b"]));
        await using var gateway = await Asking.GatewayAsync(new FixtureOptions { Config = c => c with { Auth = AuthFixture.Keys, Policies = policies } }, a, b);
        var keys = new ApiKeys(gateway.Get<IAuthStore>(), gateway.Clock);
        var support = (await keys.CreateAsync("ann", null, [Scopes.Use], ["support"], null)).Secret;
        var lead = (await keys.CreateAsync("ann", null, [Scopes.Use], ["lead"], null)).Secret;
        var client = new StatelessClient(gateway.Http, "/mcp");
        await LookedAtAsync(gateway, "a");
        await LookedAtAsync(gateway, "b");

        foreach (var (key, honoured) in new[] { (support, "a://r"), (lead, "b://r") })
        {
            using var reply = await client.RequestAsync(
                "subscriptions/listen", """{"notifications":{"resourceSubscriptions":["a://r","b://r"]}}""", headers: [("Authorization", "Bearer " + key)]);
            var acknowledged = await reply.MessageAsync();
            Assert.Equal([honoured], acknowledged["params"]!["notifications"]!["resourceSubscriptions"]!.AsArray().Select(uri => (string)uri!));
        }

        Assert.Equal(2, gateway.Sessions.All.Count(session => !session.IsKept));
    }

    /// <summary>The gateway's own look at the start, which belongs to nobody, is over.</summary>
    private static Task LookedAtAsync(GatewayFixture gateway, string server) => gateway.UntilAsync(
        () => ListKinds.All.All(kind => gateway.Get<Catalogue>().Find(server, CatalogueKey.Base)[kind] is not null), $"{server} was looked at");

    [Fact]
    public async Task Reload_CountsAtOnce_AndOpenSessionsAreToldThatTheirListsChanged()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(new PoliciesConfig(), a, b);
        var ann = await gateway.ClientAsync(path: "/mcp", user: "ann");
        var stateless = new StatelessClient(gateway.Http, "/mcp", "ann");
        using var stream = await gateway.ListenAsync(ann);
        var (listening, _) = await stateless.ListenAsync("""{"toolsListChanged":true}""");
        Assert.Equal(["a__p", "b__p"], await ann.ListAsync("prompts"));
        Assert.Equal("b:write", await ann.CallTextAsync("b__write"));

        gateway.Config.Replace(gateway.Config.Current with { Policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"])) });

        var told = new[] { await stream.Events.MessageAsync(), await stream.Events.MessageAsync(), await stream.Events.MessageAsync() }.Select(m => (string?)m["method"]);
        Assert.Equal(["notifications/prompts/list_changed", "notifications/resources/list_changed", "notifications/tools/list_changed"], told.Order(StringComparer.Ordinal));
        Assert.Equal("notifications/tools/list_changed", (string?)(await listening.Events.MessageAsync())["method"]);
        Assert.Equal(["a__p"], await ann.ListAsync("prompts"));
        Assert.Equal(-32000, (await ann.ResultAsync("b__write")).ErrorCode());
        Assert.Single(b.Params("tools/call"));

        gateway.Config.Replace(gateway.Config.Current with { Policies = new PoliciesConfig() });
        Assert.Equal(["a__p", "b__p"], await ann.ListAsync("prompts"));
        Assert.Equal("b:write", await ann.CallTextAsync("b__write"));
        listening.Dispose();
    }

    [Fact]
    public async Task Reload_ThatChangesOtherThings_TellsNobody()
    {
        var (a, b) = Servers();
        var policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"]));
        await using var gateway = await StartAsync(policies, a, b);
        var ann = await gateway.ClientAsync(path: "/mcp", user: "ann");
        using var stream = await gateway.ListenAsync(ann);

        gateway.Config.Replace(gateway.Config.Current with { Policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"])) });
        gateway.Tell(ann, "after");

        Assert.Equal("notifications/message", (string?)(await stream.Events.MessageAsync())["method"]);
    }

    [Fact]
    public async Task Server_ThatIsDeniedMeanwhile_IsHeardNoMore()
    {
        var (a, b) = Servers();
        await using var gateway = await StartAsync(new PoliciesConfig(), a, b);
        var ann = await gateway.ClientAsync(path: "/mcp", user: "ann");
        Assert.NotNull((await ann.AskAsync("resources/subscribe", """{"uri":"b://r"}"""))["result"]);
        using var stream = await gateway.ListenAsync(ann);
        var there = await b.StreamOfLatestAsync("resources/subscribe");
        await there.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"b://r"}}""");
        Assert.Equal("notifications/resources/updated", (string?)(await stream.Events.MessageAsync())["method"]);

        gateway.Config.Replace(gateway.Config.Current with { Policies = Policy(PolicyEffect.Allow, Rule(PolicyEffect.Deny, users: [Ann], servers: ["b"])) });
        var lists = b.Exchanges("tools/list").Count;
        await there.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"b://r"}}""");
        await there.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"of b"}}""");
        await there.SendAsync("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
        // What its server says is taken in order, and a list that changed is read whoever may see it.
        await gateway.UntilAsync(() => b.Exchanges("tools/list").Count > lists, "the server was heard");
        gateway.Tell(ann, "after");

        List<string> told = [];
        for (var message = await stream.Events.MessageAsync(); (string?)message["params"]?["data"] != "after"; message = await stream.Events.MessageAsync())
        {
            told.Add((string)message["method"]!);
            Assert.DoesNotContain("of b", message.ToJsonString(), StringComparison.Ordinal);
        }

        Assert.DoesNotContain("notifications/resources/updated", told);
    }

    [Fact]
    public async Task Listener_AtAReplicaThatTakesNoneOfItsCalls_IsKnownThereToo()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);

        using var stream = await pair.B.ListenAsync(there);

        Assert.Equal(Person.Nobody, pair.B.Session(there).Person);
    }

    private static PoliciesConfig Policy(PolicyEffect otherwise, params PolicyRuleConfig[] rules) => new() { Default = otherwise, Rules = rules };

    private static PolicyRuleConfig Rule(PolicyEffect effect, string[]? users = null, string[]? groups = null, string[]? roles = null, string[]? servers = null, string[]? tools = null) =>
        new() { Effect = effect, Users = users ?? [], Groups = groups ?? [], Roles = roles ?? [], Servers = servers ?? [], Tools = tools ?? [] };

    private static (ListingServer A, ListingServer B) Servers() => (Server("a"), Server("b"));

    private static ListingServer Server(string name) => new(name, Tools)
    {
        Prompts = ["""{"name":"p"}"""],
        Resources = ListingServer.Uris($"{name}://r"),
        Templates = ListingServer.UriTemplates($"{name}://t/{{x}}"),
    };

    private static Task<GatewayFixture> StartAsync(PoliciesConfig policies, params ListingServer[] servers) =>
        Asking.GatewayAsync(new FixtureOptions { Config = c => c with { Policies = policies } }, servers);
}
