using System.Net;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Tests.Routing;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Accounts that are taken away, replaced or found broken while sessions use them: what the server said to one of them is nothing for the next, nor for nobody.</content>
public sealed partial class AccountTests
{
    private static readonly CredentialKey s_acme = new("https://issuer.test", "ann", "acme");

    private const string ListChanged = "notifications/tools/list_changed";

    public static TheoryData<string> Kinds => ["provider", "oauth"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Account_TakenAway_ItsStreamAndItsSessionAtTheServerEnd_AndNothingMoreIsAskedThere(string kind)
    {
        var (stream, server) = await UsedAsync(kind);
        using var _ = stream;
        var listed = await _ann!.AskAsync("tools/list");
        Assert.NotNull(listed["result"]);
        var before = _server.Requests.Count;

        await TakeAwayAsync(NameOf(kind));

        await _gateway.UntilAsync(() => server.WasLeft && _server.Sessions.Count == 0, "the server's stream and session are over", TimeSpan.FromSeconds(5));
        await ToldAsync(stream, ListChanged);
        Assert.NotNull((await _ann!.AskAsync("tools/list"))["error"]);
        var error = (await _ann!.ResultAsync("echo"))["error"]!;
        Assert.Equal((-32042, "account_needed"), ((int)error["code"]!, (string?)error["data"]!["mooring"]!["reason"]));
        // Its end is the last that its session heard; an oauth server is asked what it wants, without one.
        Assert.Equal(["DELETE"], _server.Requests.Skip(before).Where(exchange => exchange.Session is not null).Select(exchange => exchange.HttpMethod));
        Assert.Single(_callTokens);
    }

    [Fact]
    public async Task Account_AnotherIsLinkedInItsPlace_ItsClientIsToldAndSeesWhatThatOneIsShown()
    {
        var (stream, server) = await UsedAsync("provider");
        using var _ = stream;
        Assert.Equal(["echo"], await ToolsAsync());

        // What this server shows depends on whose account it is.
        _server.Hold("of another");
        _good.Add("Bearer token-2");
        await LinkAnewAsync("acme");

        await _gateway.UntilAsync(() => server.WasLeft, "what was open with the first is over", TimeSpan.FromSeconds(5));
        await ToldAsync(stream, ListChanged);
        Assert.Equal(["echo", "of another"], await ToolsAsync());
        Assert.Equal("nothing", (await _ann!.ResultAsync("echo")).Text());
        Assert.Equal("Bearer token-2", _callTokens.Last());
        Assert.Equal(["Bearer token-2"], _server.Requests.Where(exchange => exchange.Session == "one-2").Select(exchange => exchange.Header("Authorization")).Distinct());
    }

    [Fact]
    public async Task Account_TakenAwayAndAnotherLinked_IsOfAnotherSessionAtTheServer_ThatItsClientHears()
    {
        var (stream, _) = await UsedAsync("oauth");
        using var both = stream;
        await TakeAwayAsync("one");
        await ToldAsync(stream, ListChanged);
        _server.Hold("of another");
        _good.Add("Bearer token-2");

        await LinkAsync(await AddressAsync(_ann!));

        await ToldAsync(stream, ListChanged);
        Assert.Equal(["echo", "of another"], await ToolsAsync());
        var again = await _gateway.PassTimeAsync(_server.GetAsync(), TimeSpan.FromSeconds(10), "it is listened to");
        Assert.Equal(("one-2", null), (again.Session, again.LastEventId));
        await again.SendAsync(Told("to the other"), id: "e1");
        Assert.Equal("to the other", await SaidAsync(stream));
    }

    /// <summary>A process beside the gateway, such as the command mooring token, tells nobody.</summary>
    [Fact]
    public async Task Account_TakenAwayInTheStoreAlone_IsNoticedWithTheNextCall_OrWithinAMinute()
    {
        var (stream, server) = await UsedAsync("oauth");
        using var _ = stream;
        var before = _server.Requests.Count;

        await _kept.DeleteCredentialAsync(new CredentialKey("https://issuer.test", "ann", "one"));

        await _gateway.UntilAsync(() => server.WasLeft, "its stream is over", TimeSpan.FromSeconds(70));
        Assert.Equal(-32042, (int)(await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!["code"]!);
        Assert.DoesNotContain(_server.Requests.Skip(before), exchange => exchange.Session is not null && exchange.HttpMethod != "DELETE");
    }

    [Fact]
    public async Task Account_TakenAwayInTheStoreAlone_ACallDoesNotGoOutInTheSessionOfBefore()
    {
        var (stream, _) = await UsedAsync("oauth");
        using var both = stream;
        var before = _server.Requests.Count;

        await _kept.DeleteCredentialAsync(new CredentialKey("https://issuer.test", "ann", "one"));

        Assert.Equal(-32042, (int)(await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!["code"]!);
        Assert.DoesNotContain(_server.Requests.Skip(before), exchange => exchange.Session is not null && exchange.HttpMethod != "DELETE");
    }

    /// <summary>Another process has its session from the store, and neither what the account before was shown nor that one's session at the server.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Account_ChangedWhileItsSessionIsInNoProcess_NothingOfTheOneBeforeComesBack(bool isLinkedAnew)
    {
        var (stream, _) = await UsedAsync("provider");
        stream.Dispose();
        var session = _gateway.Session(_ann!);
        await _gateway.UntilAsync(() => session.Connections == 0, "its stream is over");
        _server.Hold("own");
        await _gateway.PassTimeAsync(session.Lists.ChangedAsync(session.Links.Open[0], Mooring.Routing.ListKind.Tools), TimeSpan.FromSeconds(5), "its list is its own");
        _gateway.Sessions.Forget(session);
        await session.LeaveAsync();
        var before = _server.Requests.Count;

        var key = new CredentialKey("https://issuer.test", "ann", "acme");
        await _kept.DeleteCredentialAsync(key);
        if (isLinkedAnew)
        {
            await _gateway.Get<Credentials>().ReplaceAsync(key, new Credential { AccessToken = "token-2", Received = _gateway.Clock.GetUtcNow() }, TestContext.Current.CancellationToken);
            _good.Add("Bearer token-2");
        }

        var result = await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer");
        Assert.Equal(isLinkedAnew, result["error"] is null);
        Assert.DoesNotContain(_server.Requests.Skip(before), exchange => exchange.Session == "one-1");
    }

    /// <summary>Its key is away, or its row damaged: that is no other account, and none that was taken away.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Account_DoesNotOpenForAWhile_NothingIsGivenUp_AndAllGoesOnOnceItOpensAgain(string kind)
    {
        var (stream, server) = await UsedAsync(kind);
        using var _ = stream;
        Assert.Equal(["echo"], await ToolsAsync());

        _kept.Spoils = true;
        var error = (await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!;
        Assert.Equal((-32042, "account_needed"), ((int)error["code"]!, (string?)error["data"]!["mooring"]!["reason"]));
        await _gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(90), _gateway.Clock), TimeSpan.FromSeconds(91), "it was looked at");
        Assert.Equal(["echo"], await ToolsAsync());
        Assert.False(server.WasLeft);

        _kept.Spoils = false;
        Assert.Equal("nothing", (await _gateway.PassTimeAsync(_ann.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer")).Text());
        Assert.DoesNotContain(_server.Requests, exchange => exchange.HttpMethod == "DELETE");
        Assert.Single(_server.Sessions);
    }

    [Fact]
    public async Task Account_DoesNotOpenWhileItsSessionComesFromTheStore_TheSessionIsThere_AndGoesOnOnceItOpens()
    {
        var session = await KeptAsync();
        _gateway.Sessions.Forget(session);
        await session.LeaveAsync();

        _kept.Spoils = true;
        Assert.Equal(["echo", "own"], await ToolsAsync());
        Assert.Equal("account_needed", (string?)(await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!["data"]!["mooring"]!["reason"]);

        _kept.Spoils = false;
        Assert.Equal("nothing", (await _gateway.PassTimeAsync(_ann.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer")).Text());
        Assert.Single(_server.Sessions);
    }

    /// <summary>It is read, the account goes, and only then it would be taken over.</summary>
    [Fact]
    public async Task Account_TakenAwayWhileItsSessionIsReadAgain_WhatWasReadOfItDoesNotComeBack()
    {
        var session = await KeptAsync();
        _kept.Then = () => _gateway.Get<Credentials>().DeleteAsync(s_acme, known: null);

        await session.Links.ReloadAsync();

        Assert.NotNull((await _gateway.PassTimeAsync(_ann!.AskAsync("tools/list"), TimeSpan.FromSeconds(5), "the list"))["error"]);
    }

    /// <summary>Told late: what was opened meanwhile is of the account that there is now.</summary>
    [Fact]
    public async Task Account_ChangeIsToldAfterTheNewOneIsUsed_WhatIsOpenWithThatStays()
    {
        var (stream, server) = await UsedAsync("provider");
        using var _ = stream;
        var credentials = _gateway.Get<Credentials>();
        var was = (await credentials.FindAsync(s_acme, TestContext.Current.CancellationToken)).Credential!.Link;
        _good.Add("Bearer token-2");
        await LinkAnewAsync("acme");
        await _gateway.UntilAsync(() => server.WasLeft, "what was open with the first is over", TimeSpan.FromSeconds(5));
        Assert.Equal("nothing", (await _gateway.PassTimeAsync(_ann!.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer")).Text());
        var open = Assert.Single(_gateway.Session(_ann).Links.Open);

        credentials.Changed!(new AccountChange(s_acme, was, (await credentials.FindAsync(s_acme, TestContext.Current.CancellationToken)).Credential!.Link));
        credentials.Changed!(new AccountChange(s_acme, was, Now: null));

        Assert.Equal("nothing", (await _gateway.PassTimeAsync(_ann.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer")).Text());
        Assert.Same(open, Assert.Single(_gateway.Session(_ann).Links.Open));
    }

    [Fact]
    public async Task Account_TakenAwayWhileALinkOpens_SaysNothingOfTheServersHealth()
    {
        await KeptAsync();
        var link = Assert.Single(_gateway.Session(_ann!).Links.Open);
        await _kept.DeleteCredentialAsync(s_acme);

        for (var i = 0; i < 10; i++)
        {
            var (opened, _) = await _gateway.PassTimeAsync(link.Upstream.OpenAsync(link.Parameters, link.Owner, known: null, TestContext.Current.CancellationToken), TimeSpan.FromSeconds(5), "the opening");
            Assert.Null(opened);
        }

        Assert.False(link.Upstream.Health.IsAway);
        Assert.DoesNotContain("UpstreamFailed", _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Account_ProviderTakesItBack_WhatIsOpenWithItEnds_AndItsClientIsTold()
    {
        var (stream, server) = await UsedAsync("provider");
        using var _ = stream;
        await ToolsAsync();
        _authorization.Answers["https://acme.test/token"] = () => FakeAuthorizationServer.Json(HttpStatusCode.BadRequest, new JsonObject { ["error"] = "invalid_grant" });

        _gateway.Advance(TimeSpan.FromHours(1) - TimeSpan.FromMinutes(2));

        await _gateway.UntilAsync(() => server.WasLeft, "its stream is over", TimeSpan.FromMinutes(2));
        await ToldAsync(stream, ListChanged);
        Assert.Contains("has to be connected again", (string?)(await _ann!.ResultAsync("echo"))["error"]!["message"], StringComparison.Ordinal);
    }

    /// <summary>A session that used its account, and keeps a list of its own for it.</summary>
    private async Task<Mooring.Sessions.Session> KeptAsync()
    {
        await StartAsync(vault: _kept);
        _ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(_ann));
        Assert.Equal("nothing", (await _ann.ResultAsync("echo")).Text());
        var session = _gateway.Session(_ann);
        _server.Hold("own");
        await _gateway.PassTimeAsync(session.Lists.ChangedAsync(session.Links.Open[0], Mooring.Routing.ListKind.Tools), TimeSpan.FromSeconds(5), "its list is its own");
        return session;
    }

    private static string NameOf(string kind) => kind == "oauth" ? "one" : "acme";

    /// <summary>A client that listens and has used its account, and the server's stream of its session there.</summary>
    private async Task<(TestReply Stream, UpstreamExchange Server)> UsedAsync(string kind)
    {
        _server.HasGetStream = true;
        await StartAsync(kind == "oauth" ? new ServerAuthConfig { Kind = ServerAuthKind.OAuth } : null, vault: _kept);
        _ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(_ann));
        Assert.Equal("nothing", (await _ann.ResultAsync("echo")).Text());
        var stream = await _gateway.ListenAsync(_ann);
        var server = await _server.GetAsync();
        await server.SendAsync(Told("before"), id: "e1");
        Assert.Equal("before", await SaidAsync(stream));
        return (stream, server);
    }

    /// <summary>Whoever is known in the browser links another account in the place of the one that there is.</summary>
    private async Task LinkAnewAsync(string name)
    {
        using var pressed = await SendAsync(HttpMethod.Post, new Uri($"https://gateway.test/connect/{name}"), user: "ann", origin: "https://gateway.test");
        var cookie = pressed.Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        using var done = await SendAsync(HttpMethod.Get, _authorization.Allow(pressed.Headers.Location!), user: "ann", cookie: cookie);
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
    }

    private async Task<IEnumerable<string?>> ToolsAsync() =>
        (await _gateway.PassTimeAsync(_ann!.AskAsync("tools/list"), TimeSpan.FromSeconds(5), "the list"))["result"]!["tools"]!.AsArray().Select(tool => (string?)tool!["name"]);

    private async Task ToldAsync(TestReply stream, string method) => await _gateway.PassTimeAsync(UntilToldAsync(stream, method), TimeSpan.FromSeconds(5), $"{method} is told");

    private static async Task UntilToldAsync(TestReply stream, string method)
    {
        while ((string?)(await stream.Events.MessageAsync())["method"] != method)
        {
        }
    }
}
