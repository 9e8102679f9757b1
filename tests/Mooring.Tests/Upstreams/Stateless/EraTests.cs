using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Upstreams;
using Mooring.Upstreams.Stateless;
using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <summary>Which servers are spoken to without a session: how that is found out, remembered, and found out again.</summary>
public sealed class EraTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task FirstContact_ServerWithoutSessions_IsUsedAsOne()
    {
        await using var gateway = await StartAsync(out var server);
        var client = gateway.NewClient();
        var hello = await client.InitializeAsync();

        Assert.Equal("stateless", (string?)hello["result"]!["serverInfo"]!["name"]);
        Assert.Equal("2025-11-25", (string?)hello["result"]!["protocolVersion"]);
        Assert.Equal("Be brief.", (string?)hello["result"]!["instructions"]);
        Assert.True((bool?)hello["result"]!["capabilities"]!["resources"]!["subscribe"]);
        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());
        Assert.Empty(server.Faults);
        Assert.Empty(gateway.Upstream.Messages("initialize"));
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest, """{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}""")]
    [InlineData(HttpStatusCode.BadRequest, "")]
    [InlineData(HttpStatusCode.BadRequest, """{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no","data":{"supported":["2025-11-25"]}}}""")]
    [InlineData(HttpStatusCode.NotFound, "nothing here")]
    [InlineData(HttpStatusCode.MethodNotAllowed, "")]
    [InlineData(HttpStatusCode.NotAcceptable, "")]
    [InlineData(HttpStatusCode.OK, """{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}""")]
    [InlineData(HttpStatusCode.OK, """{"jsonrpc":"2.0","id":1,"result":{}}""")]
    public async Task FirstContact_ServerWithSessions_IsAskedOnceAndRemembered(HttpStatusCode status, string body)
    {
        var fake = new FakeUpstream { SeesProbes = true };
        fake.Intercept = e => Probe(e) && Said(() => e.Status(status, body.Replace("\"id\":1", $"\"id\":{e.Id}", StringComparison.Ordinal)));
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        await gateway.UntilAsync(() => EraOf(gateway) != Era.Unknown, "it has been asked");
        var client = await gateway.ClientAsync();
        var another = await gateway.ClientAsync();

        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());
        Assert.Equal("\"hi\"", (await another.ResultAsync("echo", """{"text":"hi"}""")).Text());
        Assert.Single(fake.Messages("server/discover"));
        Assert.Equal(Era.Sessions, EraOf(gateway));
    }

    [Theory]
    [InlineData(HttpStatusCode.Unauthorized)]
    [InlineData(HttpStatusCode.Forbidden)]
    [InlineData(HttpStatusCode.RequestTimeout)]
    [InlineData(HttpStatusCode.TooManyRequests)]
    [InlineData(HttpStatusCode.InternalServerError)]
    [InlineData(HttpStatusCode.BadGateway)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    public async Task FirstContact_AnswerSaysNothing_IsServedAndAskedAgainLater(HttpStatusCode status)
    {
        var fake = new FakeUpstream { SeesProbes = true };
        fake.Intercept = e => Probe(e) && Said(() => e.Status(status, "not now", "text/plain"));
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        var client = await gateway.ClientAsync();

        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());
        Assert.Equal(Era.Sessions, EraOf(gateway));
        Assert.DoesNotContain(await gateway.Get<Mooring.Stores.IStore>().LoadCatalogueAsync(CancellationToken.None), r => r.Kind == "era");

        gateway.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal(Era.Unknown, EraOf(gateway));
    }

    [Fact]
    public async Task FirstContact_OthersMeanwhile_WaitForWhatTheFirstFindsOut()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        var probes = new System.Collections.Concurrent.ConcurrentQueue<UpstreamExchange>();
        fake.Intercept = e => Probe(e) && Said(() => probes.Enqueue(e));
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        await gateway.UntilAsync(() => !probes.IsEmpty, "it is asked");
        var others = new[] { gateway.ClientAsync(), gateway.ClientAsync(capabilities: """{"roots":{}}""") };
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(1), gateway.Clock), TimeSpan.FromSeconds(2), "time passed");

        Assert.Single(probes);
        probes.Single().Status(HttpStatusCode.NotFound);
        foreach (var other in others)
        {
            Assert.Equal("\"hi\"", (await (await other).ResultAsync("echo", """{"text":"hi"}""")).Text());
        }

        Assert.Single(fake.Messages("server/discover"));
    }

    [Fact]
    public async Task FirstContact_FirstTakesTooLong_OthersGoOnByThemselves()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        var hung = 0;
        fake.Intercept = e => (string?)e.Message?["method"] is "server/discover" or "initialize" && Interlocked.Increment(ref hung) <= 2;
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        await gateway.UntilAsync(() => hung > 0, "it is asked");

        var client = await gateway.PassTimeAsync(gateway.ClientAsync(), TimeSpan.FromSeconds(5), "an answer to initialize");
        var calling = client.ResultAsync("echo", """{"text":"hi"}""");
        Assert.Equal("\"hi\"", (await gateway.PassTimeAsync(calling, TimeSpan.FromSeconds(10), "the answer")).Text());
    }

    [Fact]
    public async Task FirstContact_ServerWithSessionsIsSilent_IsAskedTheOtherWaySoon()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        fake.Intercept = Probe;
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);

        await gateway.UntilAsync(() => fake.Messages("initialize").Count > 0, "it is asked for a session", TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task FirstContact_ServerWithoutSessionsIsSlow_IsAskedAgainWhereItHasNoSession()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        var asked = 0;
        server.Intercept = e => Probe(e) && Interlocked.Increment(ref asked) == 1;
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);

        await gateway.UntilAsync(() => EraOf(gateway) == Era.Stateless, "it is known", TimeSpan.FromSeconds(4));
    }

    [Theory]
    [InlineData(-32020)]
    [InlineData(-32021)]
    public async Task FirstContact_ServerWithoutSessionsRefuses_IsNotAskedForASession(int code)
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        server.Intercept = e => Probe(e) && Said(() => e.Refuse(HttpStatusCode.BadRequest, code, "not like that"));
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);

        await gateway.UntilAsync(() => gateway.Upstream.Messages("server/discover").Count > 0 && gateway.LogLines.Lines.Any(l => l.Contains("not like that", StringComparison.Ordinal)), "it was refused");
        Assert.Empty(fake.Messages("initialize"));
    }

    [Fact]
    public async Task Restart_EraIsKnown_IsNotAskedAgain()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-").FullName;
        var fake = new FakeUpstream { SeesProbes = true };
        fake.Intercept = e => Probe(e) && Said(() => e.Status(HttpStatusCode.NotFound));
        await using (var before = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder }, fake))
        {
            await before.ClientAsync();
            await before.UntilAsync(() => EraOf(before) == Era.Sessions, "it is known");
        }

        await using var after = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder }, fake);
        var client = await after.ClientAsync();
        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());

        Assert.Single(fake.Messages("server/discover"));
    }

    [Fact]
    public async Task Kept_NoHashOfWhatMayBeASecretIsInTheFiles()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-").FullName;
        var fake = WithSessions();
        string fingerprint;
        await using (var gateway = await GatewayFixture.StartAsync(WithKey(folder), fake))
        {
            await (await gateway.ClientAsync()).ResultAsync("echo");
            await gateway.UntilAsync(() => EraOf(gateway) == Era.Sessions, "it is known");
            fingerprint = gateway.Get<UpstreamTable>().Find("one")!.Fingerprint;
            await gateway.UntilAsync(() => Directory.EnumerateFiles(folder).Any(file => Holds(file, gateway.Get<UpstreamTable>().Find("one")!.Place)), "it is kept");
        }

        Assert.DoesNotContain(Directory.EnumerateFiles(folder), file => Holds(file, fingerprint));
    }

    [Fact]
    public async Task Restart_EraWasKeptByAReleaseBefore_IsNotAskedAgain_AndItsHashGoesOutOfTheRow()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-").FullName;
        var fake = WithSessions();
        string fingerprint;
        await using (var before = await GatewayFixture.StartAsync(WithKey(folder), fake))
        {
            await before.ClientAsync();
            await before.UntilAsync(() => EraOf(before) == Era.Sessions, "it is known");
            await before.UntilAsync(() => Directory.EnumerateFiles(folder).Any(file => Holds(file, before.Get<UpstreamTable>().Find("one")!.Place)), "it is kept");
            fingerprint = before.Get<UpstreamTable>().Find("one")!.Fingerprint;
            var body = $$"""{"era":"sessions","fingerprint":"{{fingerprint}}"}""";
            await before.Get<IStore>().SaveCatalogueAsync((await EraRowAsync(before))! with { Body = System.Text.Encoding.ASCII.GetBytes(body), Hash = body });
        }

        await using var after = await GatewayFixture.StartAsync(WithKey(folder), fake);
        var client = await after.ClientAsync();
        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());

        Assert.Single(fake.Messages("server/discover"));
        var row = (await EraRowAsync(after))!;
        var text = row.Hash + System.Text.Encoding.ASCII.GetString(row.Body.Span);
        Assert.DoesNotContain(fingerprint, text, StringComparison.Ordinal);
        Assert.Contains(after.Get<UpstreamTable>().Find("one")!.Place, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task KnownServer_LosesItsSessionsForGood_GoesOnWithoutThem()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        Assert.Equal(Era.Sessions, EraOf(gateway));

        // A new release.
        var server = StatelessUpstream.At(gateway.Upstream);
        var calling = client.ResultAsync("echo", """{"text":"hi"}""");

        Assert.Equal("\"hi\"", (await gateway.PassTimeAsync(calling, AMinute, "the answer")).Text());
        Assert.Equal(Era.Stateless, EraOf(gateway));
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task KnownServer_HasSessionsAgain_GoesOnWithThem()
    {
        await using var gateway = await StartAsync(out _);
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        Assert.Equal(Era.Stateless, EraOf(gateway));

        // The release before.
        (gateway.Upstream.Intercept, gateway.Upstream.SeesProbes) = (null, false);
        var calling = client.ResultAsync("echo", """{"text":"hi"}""");

        Assert.Equal("\"hi\"", (await gateway.PassTimeAsync(calling, AMinute, "the answer")).Text());
        Assert.Equal(Era.Sessions, EraOf(gateway));
    }

    [Theory]
    [InlineData(23, false)]
    [InlineData(25, true)]
    public async Task KnownServer_ComesToDoWithoutSessionsAsWell_IsFoundOutAfterADay(int hours, bool isFound)
    {
        var folder = Directory.CreateTempSubdirectory("mooring-").FullName;
        var fake = WithSessions();
        await using (var before = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder }, fake))
        {
            await (await before.ClientAsync()).ResultAsync("echo");
            CatalogueRecord? row = null;
            await before.UntilAsync(() => (row = EraRowAsync(before).GetAwaiter().GetResult()) is not null, "it is kept");
            Assert.Equal(("2025-11-25", "1"), (JsonText(row!, "version"), JsonText(row!, "release")));
            await before.Get<IStore>().SaveCatalogueAsync(row! with { Fetched = before.Clock.GetUtcNow() - TimeSpan.FromHours(hours) });
        }

        Both(fake);
        await using var after = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder }, fake);
        Assert.Equal("\"hi\"", (await (await after.ClientAsync()).ResultAsync("echo", """{"text":"hi"}""")).Text());

        Assert.Equal(isFound ? Era.Stateless : Era.Sessions, EraOf(after));
    }

    [Fact]
    public async Task KnownServer_BecomesAnotherRelease_IsAskedWithTheNextLink()
    {
        var fake = WithSessions();
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        await (await gateway.ClientAsync()).ResultAsync("echo");
        await gateway.UntilAsync(() => EraOf(gateway) == Era.Sessions, "it is known");
        Both(fake);
        await (await gateway.ClientAsync(capabilities: """{"roots":{}}""")).ResultAsync("echo");
        Assert.Equal(Era.Sessions, EraOf(gateway));

        fake.Release = "2";
        await (await gateway.ClientAsync(capabilities: """{"sampling":{}}""")).ResultAsync("echo");

        // It was asked a moment ago: of replicas of two releases each link shows another one.
        Assert.Equal(Era.Sessions, EraOf(gateway));
        gateway.Advance(Eras.GuessLasts);
        Assert.Equal(Era.Unknown, EraOf(gateway));
        await (await gateway.ClientAsync(capabilities: """{"elicitation":{}}""")).ResultAsync("echo");

        Assert.Equal(Era.Stateless, EraOf(gateway));
    }

    [Fact]
    public async Task StatelessServer_AnswersOneCallOddly_StaysOneWithoutSessions()
    {
        await using var gateway = await StartAsync(out var server);
        var client = await gateway.ClientAsync();
        server.Intercept = e => (string?)e.Message?["method"] == "tools/call" && Said(() => e.Status(HttpStatusCode.NotFound, "<html>", "text/html"));

        var answer = await client.ResultAsync("echo");

        Assert.Equal("upstream_refused", answer.Reason());
        Assert.Equal(Era.Stateless, EraOf(gateway));
    }

    [Fact]
    public async Task Pinned_Legacy_IsNeverAsked()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Server = s => s with { Protocol = ServerProtocol.Legacy } }, fake);
        var client = await gateway.ClientAsync();

        Assert.Equal("\"hi\"", (await client.ResultAsync("echo", """{"text":"hi"}""")).Text());
        Assert.Empty(fake.Messages("server/discover"));
    }

    [Fact]
    public async Task Pinned_AVersionWithSessions_IsOfferedThat()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Server = s => s with { Protocol = ServerProtocol.V2025_03_26 } });
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");

        Assert.All(gateway.Upstream.Messages("initialize"), m => Assert.Equal("2025-03-26", (string?)m["params"]!["protocolVersion"]));
    }

    [Fact]
    public async Task Pinned_TheVersionWithoutSessions_IsNeverAskedForOne()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Server = s => s with { Protocol = ServerProtocol.V2026_07_28 } }, fake);

        await gateway.UntilAsync(() => fake.Messages("server/discover").Count > 0 && gateway.LogLines.Lines.Any(l => l.Contains("UpstreamFailed", StringComparison.Ordinal)), "it failed");
        Assert.Empty(fake.Messages("initialize"));
    }

    private static Task<GatewayFixture> StartAsync(out StatelessUpstream server)
    {
        var fake = new FakeUpstream();
        server = StatelessUpstream.At(fake);
        return GatewayFixture.StartAsync(upstreams: fake);
    }

    /// <summary>From now on it serves those who ask for a session, and those who do not.</summary>
    private static void Both(FakeUpstream fake)
    {
        StatelessUpstream.At(fake);
        var alone = fake.Intercept!;
        fake.Intercept = e => e.Session is null && (string?)e.Message?["method"] != "initialize" && alone(e);
    }

    private static string? JsonText(CatalogueRecord row, string name) => (string?)System.Text.Json.Nodes.JsonNode.Parse(row.Body.Span)![name];

    private static FakeUpstream WithSessions()
    {
        var fake = new FakeUpstream { SeesProbes = true };
        fake.Intercept = e => Probe(e) && Said(() => e.Status(HttpStatusCode.NotFound));
        return fake;
    }

    /// <summary>A header that anybody would guess.</summary>
    private static FixtureOptions WithKey(string folder) => new()
    {
        Directory = folder,
        Server = s => s with { Headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase) { ["X-Key"] = "hunter2" } },
    };

    private static async Task<CatalogueRecord?> EraRowAsync(GatewayFixture gateway) =>
        (await gateway.Get<IStore>().LoadCatalogueAsync(CancellationToken.None)).SingleOrDefault(row => row.Kind == "era");

    private static bool Holds(string file, string text)
    {
        // Nobody but its holder may open the lock.
        if (file.EndsWith(".lock", StringComparison.Ordinal))
        {
            return false;
        }

        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(text)) >= 0;
    }

    private static bool Probe(UpstreamExchange exchange) => (string?)exchange.Message?["method"] == "server/discover";

    private static bool Said(Action answer)
    {
        answer();
        return true;
    }

    private static Era EraOf(GatewayFixture gateway) => gateway.Get<Eras>().Of(gateway.Get<UpstreamTable>().Find("one")!);
}
