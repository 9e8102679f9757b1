using System.Net;
using System.Text.Json.Nodes;
using Mooring.Auth.Issuers;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Network;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>Who may ask a person for access: clients that registered, and those known by a document of theirs.</summary>
public sealed class ClientTests
{
    private const string DocumentUrl = "https://app.example.com/oauth/client.json";

    private readonly TestInternet _internet = new();

    [Theory]
    [InlineData("https://app.example.com/cb", true)]
    [InlineData("http://localhost:1234/cb", true)]
    [InlineData("http://[::1]/cb", true)]
    [InlineData("vscode://vscode.github-authentication/did-authenticate", true)]
    [InlineData("http://app.example.com/cb", false)]
    [InlineData("http://127.0.0.2/cb", false)]
    [InlineData("https://app.example.com/cb#x", false)]
    [InlineData("https://user@app.example.com/cb", false)]
    [InlineData("javascript:alert(1)", false)]
    [InlineData("data:text/html,x", false)]
    [InlineData("file:///etc/passwd", false)]
    [InlineData("ftp://localhost/", false)]
    [InlineData("/cb", false)]
    [InlineData("https://app.example.com/ cb", false)]
    [InlineData("https://app.example.com/r\u00fcck", false)]
    [InlineData("https://app.example.com/r%C3%BCck", true)]
    [InlineData("https://r\u00fcck.example.com/", false)]
    [InlineData("cursor://r\u00fcck", false)]
    [InlineData("http://127.0.0.1/\u65e5", false)]
    public async Task Register_Addresses_AreHttpsThePersonsOwnMachineOrAKnownProgram(string address, bool isTaken)
    {
        await using var gateway = await SignInFixture.StartAsync();

        var (status, json) = await new TestOAuthClient(gateway).TryRegisterAsync(new JsonObject { ["redirect_uris"] = new JsonArray("https://fine.example/", address) });

        Assert.Equal(isTaken ? HttpStatusCode.Created : HttpStatusCode.BadRequest, status);
        Assert.Equal(isTaken ? null : "invalid_redirect_uri", (string?)json["error"]);
    }

    [Theory]
    [InlineData("""{"redirect_uris":[]}""")]
    [InlineData("""{"redirect_uris":"https://x.example/"}""")]
    [InlineData("""{"redirect_uris":[1]}""")]
    [InlineData("""{"redirect_uris":["https://x.example/"],"grant_types":["client_credentials"]}""")]
    [InlineData("""{"redirect_uris":["https://x.example/"],"response_types":["token"]}""")]
    [InlineData("""[]""")]
    public async Task Register_WhatCannotBeServed_Is400(string json)
    {
        await using var gateway = await SignInFixture.StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestOAuthClient(gateway).TryRegisterAsync(JsonNode.Parse(json)!)).Status);
    }

    [Theory]
    [InlineData("/oauth/register", """{"redirect_uris":["https://x.example/"],"redirect_uris":["https://y.example/"]}""", "invalid_client_metadata")]
    [InlineData("/oauth/register", """{"redirect_uris":["https://x.example/"],"x":{"a":1,"a":2}}""", "invalid_client_metadata")]
    [InlineData("/oauth/token", """{"grant_type":"refresh_token","client_id":"a","client_id":"b"}""", "invalid_request")]
    [InlineData("/oauth/register", """{"redirect_uris":["https://x.example/\ud800"]}""", "invalid_client_metadata")]
    [InlineData("/oauth/register", """{"redirect_uris":["https://x.example/"],"client_name":"\udc00"}""", "invalid_client_metadata")]
    [InlineData("/oauth/register", """{"redirect_uris":["https://x.example/"],"a\ud800":{"\ud800":1}}""", "invalid_client_metadata")]
    [InlineData("/oauth/token", """{"grant_type":"refresh_token","refresh_token":"\ud800"}""", "invalid_request")]
    public async Task Json_WithANameTwice_OrWithWhatIsNoText_Is400(string path, string json, string error)
    {
        await using var gateway = await SignInFixture.StartAsync();

        using var response = await Limit.Of(gateway.Http.PostAsync(path, new StringContent(json, System.Text.Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken), path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(error, (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["error"]);
    }

    [Fact]
    public async Task Document_WithANameTwice_IsNotValid()
    {
        _internet.Serve(DocumentUrl, (_, _) => new HttpResponseMessage(HttpStatusCode.OK)
        {
            Content = new StringContent(Document().ToJsonString().Replace("{", "{\"client_name\":\"Another\",", StringComparison.Ordinal), System.Text.Encoding.UTF8, "application/json"),
        });
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl())).Status);
    }

    [Theory]
    [InlineData("client_id")]
    [InlineData("client_name")]
    [InlineData("redirect_uris")]
    public async Task Document_WithWhatIsNoText_IsNotValid(string name)
    {
        _internet.Serve(DocumentUrl, (_, _) =>
        {
            var document = Document();
            document[name] = name == "redirect_uris" ? new JsonArray("here") : "here";
            return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(document.ToJsonString().Replace("here", "\\ud800", StringComparison.Ordinal), System.Text.Encoding.UTF8, "application/json") };
        });
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl())).Status);
    }

    /// <summary>Whoever has one address has the network around it, and would take the place of everybody else with it.</summary>
    [Theory]
    [InlineData("2001:db8:1:{0}::1", "2001:db8:1:ffff::1", "2001:db8:2::1")]
    [InlineData("192.0.2.{0}", "192.0.2.200", "192.0.3.1")]
    public async Task Register_ManyFromOneNetwork_IsRefusedForAWhile_AndOthersAreNot(string addresses, string next, string elsewhere)
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with { RegistrationsPerHour = 2 });
        var client = new TestOAuthClient(gateway);
        Task<(HttpStatusCode Status, JsonObject Json)> TryAsync(string address) => client.TryRegisterAsync(new JsonObject { ["redirect_uris"] = new JsonArray("https://x.example/") }, address);
        for (var i = 0; i < 2 * Registration.AddressesPerNetwork; i++)
        {
            Assert.Equal(HttpStatusCode.Created, (await TryAsync(string.Format(System.Globalization.CultureInfo.InvariantCulture, addresses, i))).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await TryAsync(next)).Status);
        Assert.Equal(HttpStatusCode.Created, (await TryAsync(elsewhere)).Status);
        gateway.Advance(TimeSpan.FromHours(1));
        Assert.Equal(HttpStatusCode.Created, (await TryAsync(next)).Status);
    }

    [Fact]
    public async Task Register_ManyFromOneAddress_IsRefusedForAWhile_AndOthersAreNot()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with { RegistrationsPerHour = 3 });
        var client = new TestOAuthClient(gateway);
        Task<(HttpStatusCode Status, JsonObject Json)> TryAsync(string address) => client.TryRegisterAsync(new JsonObject { ["redirect_uris"] = new JsonArray("https://x.example/") }, address);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(HttpStatusCode.Created, (await TryAsync($"2001:db8::{i}")).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await TryAsync("2001:db8::9")).Status);
        Assert.Equal(HttpStatusCode.Created, (await TryAsync("2001:db8:0:1::1")).Status);
        gateway.Advance(TimeSpan.FromHours(1));
        Assert.Equal(HttpStatusCode.Created, (await TryAsync("2001:db8::9")).Status);
    }

    [Fact]
    public async Task Registrations_AsManyAsMayBe_NoMoreAreTaken_UntilSomeAreOver()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with { Registrations = 2, RegistrationLifetime = TimeSpan.FromHours(1) });
        var client = new TestOAuthClient(gateway);
        Task<(HttpStatusCode Status, JsonObject Json)> TryAsync() => client.TryRegisterAsync(new JsonObject { ["redirect_uris"] = new JsonArray("https://x.example/") });
        await TryAsync();
        await TryAsync();

        Assert.Equal(HttpStatusCode.TooManyRequests, (await TryAsync()).Status);
        gateway.Advance(TimeSpan.FromHours(1) + TimeSpan.FromMinutes(2));
        Assert.Equal(HttpStatusCode.Created, (await TryAsync()).Status);
    }

    [Fact]
    public async Task Registration_ThatNobodyUses_IsForgotten_AndOneInUseIsNot()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with { RegistrationLifetime = TimeSpan.FromHours(10) });
        var (used, seen, unused) = (await TestOAuthClient.RegisterAsync(gateway), await TestOAuthClient.RegisterAsync(gateway), await TestOAuthClient.RegisterAsync(gateway));
        var browser = new TestBrowser(gateway.Http);
        async Task AssertKnownAsync(TestOAuthClient client, bool isKnown)
        {
            var page = await browser.OpenAsync(client.AuthorizeUrl());
            Assert.Equal(isKnown ? HttpStatusCode.SeeOther : HttpStatusCode.BadRequest, page.Status);
            Assert.Equal(!isKnown, page.Html.Contains("registration has expired", StringComparison.Ordinal));
        }

        await used.TokensAsync();
        gateway.Advance(TimeSpan.FromMinutes(55));
        await AssertKnownAsync(seen, isKnown: true);
        gateway.Advance(TimeSpan.FromMinutes(8));
        await AssertKnownAsync(unused, isKnown: false);
        // Opened shortly before its end: whoever was asked has the time to decide, and no more.
        await AssertKnownAsync(seen, isKnown: true);
        gateway.Advance(TimeSpan.FromMinutes(10));
        await AssertKnownAsync(seen, isKnown: false);

        gateway.Advance(TimeSpan.FromHours(8));
        await used.TokensAsync();
        gateway.Advance(TimeSpan.FromHours(9));
        await AssertKnownAsync(used, isKnown: true);
    }

    [Fact]
    public async Task Registration_ThatIsOpenedAgainAndAgain_AndNobodyAllows_IsForgottenAllTheSame()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        for (var minutes = 9; minutes < 70; minutes += 9)
        {
            gateway.Advance(TimeSpan.FromMinutes(9));
            Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
        }

        gateway.Advance(TimeSpan.FromMinutes(7));

        Assert.Contains("registration has expired", (await browser.OpenAsync(client.AuthorizeUrl())).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_InTheStore_HoldsNoneOfItsClientsAddressesButTheOneThatCounts()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway, "Test program", [TestOAuthClient.Callback, .. Enumerable.Range(0, 20).Select(i => $"https://long.example/{new string('x', 1000)}{i}")]);

        await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl());

        var row = Assert.Single(await gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Request, TestContext.Current.CancellationToken));
        Assert.InRange(row.Data.Length, 1, 2000);
    }

    [Fact]
    public async Task Requests_OfAllTogether_AreBounded()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        for (var i = 0; i < AuthorizeEndpoint.PerMinuteInAll; i++)
        {
            Assert.Null(gateway.Get<Attempts>().TryTake(AuthorizeEndpoint.InAll, "", AuthorizeEndpoint.PerMinuteInAll, TimeSpan.FromMinutes(1)));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
        Assert.Empty(await gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Request, TestContext.Current.CancellationToken));
        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
    }

    [Fact]
    public async Task Client_OfTheConfiguration_NeedsNoRegistration()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with
        {
            Registration = false,
            Clients = new Dictionary<string, OAuthClientConfig>(StringComparer.Ordinal) { ["known"] = new() { Name = "The known one", RedirectUris = [TestOAuthClient.Callback] } },
        });
        var client = new TestOAuthClient(gateway) { Id = "known" };

        Assert.Equal(HttpStatusCode.NotFound, (await client.TryRegisterAsync(new JsonObject())).Status);
        var (access, _) = await client.TokensAsync();
        await gateway.ClientWithAsync(access);
    }

    [Fact]
    public async Task Document_OfAClient_IsReadOnceForAsLongAsItSays_AndItsHostVouchesForIt()
    {
        _internet.Serve(DocumentUrl, Document(), maxAge: TimeSpan.FromMinutes(10));
        await using var gateway = await StartAsync();
        var client = new TestOAuthClient(gateway) { Id = DocumentUrl };
        var browser = new TestBrowser(gateway.Http);

        var (access, refresh) = await client.TokensAsync(browser);
        await gateway.ClientWithAsync(access);
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
        var consent = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        Assert.Contains("An app (known by app.example.com)", consent.Html, StringComparison.Ordinal);
        Assert.Equal(1, _internet.Times(DocumentUrl));
        gateway.Advance(TimeSpan.FromMinutes(10));
        await browser.OpenAsync(client.AuthorizeUrl());
        Assert.Equal(2, _internet.Times(DocumentUrl));
    }

    [Theory]
    [InlineData("https://evil.example.net/login", HttpStatusCode.BadRequest)]
    [InlineData("https://app.example.com/callback", HttpStatusCode.BadRequest)]
    [InlineData(TestOAuthClient.Callback, HttpStatusCode.SeeOther)]
    public async Task Document_OfAClient_SendsNobodyToAWebSiteUnasked(string redirectUri, HttpStatusCode status)
    {
        var document = Document();
        document["redirect_uris"] = new JsonArray(redirectUri);
        _internet.Serve(DocumentUrl, document);
        await using var gateway = await StartAsync();

        var page = await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl(("redirect_uri", redirectUri), ("prompt", "none")));

        Assert.Equal((status, status == HttpStatusCode.SeeOther), (page.Status, page.Location is not null));
        Assert.Equal(status == HttpStatusCode.BadRequest, page.Html.Contains($"<strong>{new Uri(redirectUri).Host}</strong>", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_OfTheConfiguration_IsToldOfErrorsAtItsWebSite()
    {
        const string site = "https://app.example.com/callback";
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with
        {
            Clients = new Dictionary<string, OAuthClientConfig>(StringComparer.Ordinal) { ["known"] = new() { RedirectUris = [site] } },
        });

        var page = await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = "known" }.AuthorizeUrl(("redirect_uri", site), ("prompt", "none")));

        Assert.StartsWith(site + "?error=consent_required&", page.Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client_id", "https://app.example.com/oauth/other.json")]
    [InlineData("redirect_uris", null)]
    [InlineData("token_endpoint_auth_method", "client_secret_basic")]
    [InlineData("token_endpoint_auth_method", "private_key_jwt")]
    [InlineData("client_secret", "s")]
    [InlineData("client_secret", null)]
    [InlineData("client_secret_expires_at", "0")]
    public async Task Document_ThatIsNotValid_IsNotTaken_AndNotKept(string name, string? value)
    {
        var document = Document();
        document[name] = value;
        _internet.Serve(DocumentUrl, document);
        await using var gateway = await StartAsync();
        var client = new TestOAuthClient(gateway) { Id = DocumentUrl };

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl())).Status);
        _internet.Serve(DocumentUrl, Document());
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl())).Status);
    }

    [Theory]
    [InlineData(HttpStatusCode.Created)]
    [InlineData(HttpStatusCode.NonAuthoritativeInformation)]
    [InlineData(HttpStatusCode.NotFound)]
    [InlineData(HttpStatusCode.InternalServerError)]
    public async Task Document_AnsweredWithAnotherStatusThan200_IsNotTaken_AndNotKept(HttpStatusCode status)
    {
        _internet.Serve(DocumentUrl, (_, _) => TestInternet.Json(Document(), status));
        await using var gateway = await StartAsync();
        var client = new TestOAuthClient(gateway) { Id = DocumentUrl };

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl())).Status);
        _internet.Serve(DocumentUrl, Document());
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl())).Status);
    }

    [Theory]
    [InlineData("no-store")]
    [InlineData("no-cache")]
    [InlineData("no-store, max-age=3600")]
    public async Task Document_ThatMayNotBeKept_IsAskedForAgainAfterAMinute(string cacheControl)
    {
        _internet.Serve(DocumentUrl, (_, _) =>
        {
            var response = TestInternet.Json(Document());
            response.Headers.TryAddWithoutValidation("Cache-Control", cacheControl);
            return response;
        });
        await using var gateway = await StartAsync();
        var (client, browser) = (new TestOAuthClient(gateway) { Id = DocumentUrl }, new TestBrowser(gateway.Http));

        await browser.OpenAsync(client.AuthorizeUrl());
        await browser.OpenAsync(client.AuthorizeUrl());
        Assert.Equal(1, _internet.Times(DocumentUrl));

        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
        Assert.Equal(2, _internet.Times(DocumentUrl));
    }

    [Fact]
    public async Task Documents_ManyOfOneHost_AreNotAskedForForAWhile_ButOneThatWasGoodIs()
    {
        const string another = "https://app.example.com/oauth/another.json";
        _internet.Serve(DocumentUrl, Document(), maxAge: TimeSpan.FromMinutes(1));
        await using var gateway = await StartAsync();
        var (client, unknown, browser) = (new TestOAuthClient(gateway) { Id = DocumentUrl }, new TestOAuthClient(gateway) { Id = another }, new TestBrowser(gateway.Http));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
        gateway.Advance(TimeSpan.FromMinutes(1));
        for (var i = 0; i < Clients.QuestionsPerHost; i++)
        {
            Assert.Null(gateway.Get<Attempts>().TryTake(Clients.Question, "app.example.com", Clients.QuestionsPerHost, TimeSpan.FromMinutes(1)));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await browser.OpenAsync(unknown.AuthorizeUrl())).Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl())).Status);
        Assert.Equal((0, 2), (_internet.Times(another), _internet.Times(DocumentUrl)));

        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.OpenAsync(unknown.AuthorizeUrl())).Status);
        Assert.Equal(1, _internet.Times(another));
    }

    /// <summary>Whoever names documents that are none keeps nobody elsewhere waiting whose own lies on the same host.</summary>
    [Theory]
    [InlineData("2001:db8:1:{0}::1", "2001:db8:1:ffff::1", "2001:db8:2::1")]
    [InlineData("192.0.2.{0}", "192.0.2.200", "192.0.3.1")]
    public async Task Documents_BadOnesFromOneNetwork_AreAskedForNoMoreForAWhile_AndThoseOfOthersAre(string addresses, string next, string elsewhere)
    {
        _internet.Serve(DocumentUrl, Document());
        await using var gateway = await StartAsync();
        for (var i = 0; i < Clients.QuestionsPerNetwork; i++)
        {
            Assert.Equal(HttpStatusCode.BadRequest, await TryAsync(string.Format(System.Globalization.CultureInfo.InvariantCulture, addresses, i), $"https://app.example.com/none/{i}.json"));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, await TryAsync(next, "https://app.example.com/none/next.json"));
        Assert.Equal(HttpStatusCode.SeeOther, await TryAsync(elsewhere, DocumentUrl));

        async Task<HttpStatusCode> TryAsync(string address, string id) =>
            (await gateway.SendAsync(HttpMethod.Get, new TestOAuthClient(gateway) { Id = id }.AuthorizeUrl(), null, ("X-Test-Address", address))).Status;
    }

    [Fact]
    public async Task Documents_GoodOnesFromOneNetwork_AreNotCounted()
    {
        await using var gateway = await StartAsync();
        for (var i = 0; i <= Clients.QuestionsPerNetwork; i++)
        {
            var id = $"https://app.example.com/{i}.json";
            var document = Document();
            document["client_id"] = id;
            _internet.Serve(id, document);
            Assert.Equal(HttpStatusCode.SeeOther, (await gateway.SendAsync(HttpMethod.Get, new TestOAuthClient(gateway) { Id = id }.AuthorizeUrl(), null, ("X-Test-Address", $"192.0.2.{i}"))).Status);
        }
    }

    [Fact]
    public async Task Document_WantedByManyAtOnce_IsAskedForOnce()
    {
        using var answers = new SemaphoreSlim(0);
        _internet.Serve(DocumentUrl, (_, _) =>
        {
            answers.Wait(TestContext.Current.CancellationToken);
            return TestInternet.Json(Document());
        });
        await using var gateway = await StartAsync();
        var asking = Enumerable.Range(0, 10).Select(_ => Task.Run(() => gateway.SendAsync(HttpMethod.Get, new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl()))).ToList();
        await gateway.UntilAsync(() => gateway.Get<Attempts>().WaitOf("document", Attempts.Who(IPAddress.Loopback), asking.Count) is not null, "all ask for it");
        // None of those that ask for it meanwhile has it yet.
        answers.Release(10);

        Assert.All(await Limit.Of(Task.WhenAll(asking), "all answers"), answer => Assert.Equal(HttpStatusCode.SeeOther, answer.Status));
        Assert.Equal(1, _internet.Times(DocumentUrl));
    }

    [Theory]
    [InlineData("http://app.example.com/client.json")]
    [InlineData("https://app.example.com")]
    [InlineData("https://app.example.com/")]
    [InlineData("https://user@app.example.com/client.json")]
    [InlineData("https://app.example.com/a/../client.json")]
    [InlineData("https://app.example.com/client.json#x")]
    [InlineData("https://APP.example.com/client.json")]
    public async Task Document_AtAnAddressThatCouldBeReadInTwoWays_IsNotAskedFor(string id)
    {
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = id }.AuthorizeUrl())).Status);
        Assert.Empty(_internet.Asked);
    }

    [Fact]
    public async Task Documents_ManyForOneAddress_AreNotAskedFor()
    {
        await using var gateway = await StartAsync();
        var browser = new TestBrowser(gateway.Http);
        for (var i = 0; i < 25; i++)
        {
            await browser.OpenAsync(new TestOAuthClient(gateway) { Id = $"https://h{i}.example.com/c.json" }.AuthorizeUrl());
        }

        Assert.Equal(20, _internet.Asked.Count);
    }

    [Fact]
    public async Task Document_TooLarge_IsNotTaken()
    {
        var document = Document();
        document["padding"] = new string('x', 20_000);
        _internet.Serve(DocumentUrl, document);
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl())).Status);
    }

    /// <summary>Where it leads nobody has looked at, and its host would vouch for what another one says.</summary>
    [Theory]
    [InlineData(HttpStatusCode.Found)]
    [InlineData(HttpStatusCode.PermanentRedirect)]
    public async Task Document_ThatIsElsewhere_IsNotFollowed(HttpStatusCode status)
    {
        const string elsewhere = "https://app.example.com/oauth/moved.json";
        _internet.Serve(DocumentUrl, (_, _) => new HttpResponseMessage(status) { Headers = { Location = new Uri(elsewhere) }, Content = new StringContent(Document().ToJsonString()) });
        _internet.Serve(elsewhere, Document());
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(new TestOAuthClient(gateway) { Id = DocumentUrl }.AuthorizeUrl())).Status);
        Assert.Equal([DocumentUrl], _internet.Asked);
    }

    /// <summary>The same on the real way out, with the connection alone made up.</summary>
    [Fact]
    public async Task Guard_AnswerLeadsElsewhere_IsNotFollowed()
    {
        var asked = new List<string>();
        var handler = (SocketsHttpHandler)GuardedAddress.NewHandler();
        handler.ConnectCallback = (context, _) =>
        {
            asked.Add(context.DnsEndPoint.Host);
            return ValueTask.FromResult<Stream>(new MadeConnection("HTTP/1.1 302 Found\r\nLocation: http://inside.example/\r\nContent-Length: 0\r\n\r\n"u8.ToArray()));
        };
        using var http = new AuthHttp(TimeProvider.System) { Handler = () => handler };

        var answer = await http.GetGuardedAsync(new Uri("http://app.example.com/client.json"), 100, TestContext.Current.CancellationToken);

        Assert.Equal((302, false), (answer.Status, answer.IsGood));
        Assert.Equal(["app.example.com"], asked);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.1.2.3")]
    [InlineData("172.16.0.1")]
    [InlineData("192.168.1.1")]
    [InlineData("169.254.169.254")]
    [InlineData("100.64.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("fe80::1")]
    [InlineData("fd00::1")]
    [InlineData("ff02::1")]
    public void Guard_AddressInsideOfAnyNetwork_IsNotPublic(string address) => Assert.False(GuardedAddress.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("93.184.216.34")]
    [InlineData("8.8.8.8")]
    [InlineData("172.32.0.1")]
    [InlineData("2606:4700::1111")]
    [InlineData("::ffff:8.8.8.8")]
    public void Guard_AddressOfTheInternet_IsPublic(string address) => Assert.True(GuardedAddress.IsPublic(IPAddress.Parse(address)));

    [Fact]
    public async Task Guard_NameThatLeadsToThisMachine_IsNotConnectedTo()
    {
        using var http = new AuthHttp(TimeProvider.System);

        var answer = await http.GetGuardedAsync(new Uri("https://localhost:1/client.json"), 100, TestContext.Current.CancellationToken);

        Assert.Equal(0, answer.Status);
        Assert.Contains("not public", answer.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Matches_Loopback_TakesAnyPortAndNothingElse()
    {
        string[] registered = ["http://127.0.0.1:1/cb?a=b", "https://app.example.com/cb"];

        Assert.True(RedirectUris.Matches(registered, "http://127.0.0.1:65000/cb?a=b", []));
        Assert.True(RedirectUris.Matches(registered, "http://127.0.0.1/cb?a=b", []));
        foreach (var other in new[] { "http://127.0.0.1:1/cb", "http://127.0.0.1:1/cb?a=c", "http://localhost:1/cb?a=b", "https://127.0.0.1:1/cb?a=b", "https://app.example.com:444/cb", "https://app.example.com/cb/", "https://app.example.com/CB" })
        {
            Assert.False(RedirectUris.Matches(registered, other, []), other);
        }
    }

    private Task<GatewayFixture> StartAsync() => SignInFixture.StartAsync(options: new FixtureOptions { Others = _internet });

    private static JsonObject Document() => new()
    {
        ["client_id"] = DocumentUrl,
        ["client_name"] = "An app",
        ["redirect_uris"] = new JsonArray(TestOAuthClient.Callback),
        ["token_endpoint_auth_method"] = "none",
    };

    /// <summary>Answers whatever is sent with the same bytes, and ends.</summary>
    private sealed class MadeConnection(byte[] answer) : MemoryStream(answer, writable: false)
    {
        public override bool CanWrite => true;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
