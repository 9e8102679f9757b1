using System.Net;
using System.Net.Http.Headers;
using Mooring.Auth;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>Who is let in with what, and what those are told who are not.</summary>
public sealed class DoorTests
{
    private static readonly AuthConfig OAuth = new()
    {
        Mode = [AuthMode.ApiKey, AuthMode.OAuth],
        OAuth = new OAuthConfig { Users = new Dictionary<string, LocalUserConfig>(StringComparer.Ordinal) { ["ann"] = new() { Password = "secret" } } },
    };

    [Theory]
    [InlineData("POST", "/mcp")]
    [InlineData("GET", "/mcp")]
    [InlineData("DELETE", "/mcp")]
    [InlineData("GET", "/sse")]
    [InlineData("POST", "/messages?sessionId=x")]
    [InlineData("POST", "/mcp/message?sessionId=x")]
    [InlineData("POST", "/servers/one/mcp")]
    [InlineData("POST", "/servers/nobody/mcp")]
    [InlineData("GET", "/servers/one/sse")]
    [InlineData("POST", "/servers/one/messages?sessionId=x")]
    [InlineData("GET", "/mcp/status")]
    [InlineData("POST", "/reindex")]
    [InlineData("POST", "/admin/api/drain")]
    public async Task Request_WithoutAToken_Is401OnEveryPath(string method, string path)
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);

        var (status, body, headers) = await gateway.SendAsync(new HttpMethod(method), path, token: null, ("Accept", "text/event-stream"));

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Contains("\"error\"", body, StringComparison.Ordinal);
        // Keys are handed out by people: there is no address to find a token at.
        Assert.Equal("Bearer", headers.WwwAuthenticate.ToString());
        Assert.Equal(0, gateway.Sessions.Count);
    }

    [Theory]
    [InlineData("/mcp", "/mcp")]
    [InlineData("/servers/one/mcp", "/servers/one/mcp")]
    [InlineData("/messages?sessionId=x", "/sse")]
    public async Task Request_WithoutATokenWhereTheGatewayIssuesThem_IsToldWhereToFindOut(string path, string resource)
    {
        await using var gateway = await AuthFixture.StartAsync(OAuth);

        // What a request claims of a proxy before the gateway is not believed.
        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, path, null, ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("Forwarded", "host=evil.example"));

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Equal($"Bearer scope=\"mcp\", resource_metadata=\"http://localhost/.well-known/oauth-protected-resource{resource}\"", headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Request_WhosePathNoHeaderMayHold_IsToldItEncoded()
    {
        await using var gateway = await AuthFixture.StartAsync(OAuth);

        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/servers/%22%0D%0AX-Evil:%20%C3%A4/mcp");

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.EndsWith("/servers/%22%0D%0AX-Evil:%20%C3%A4/mcp\"", headers.WwwAuthenticate.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.False(headers.Contains("X-Evil"));
    }

    [Fact]
    public async Task Request_WithATokenNobodyKnows_Is401AndSaysSo()
    {
        await using var gateway = await AuthFixture.StartAsync(OAuth);

        foreach (var token in new[] { "mrk_" + new string('x', 43), "mra_" + new string('x', 43), "something", "a.b.c" })
        {
            var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/mcp", token);

            Assert.Equal(HttpStatusCode.Unauthorized, status);
            Assert.StartsWith("Bearer error=\"invalid_token\", ", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Tokens_NobodyKnows_ManyFromOneAddress_AreLookedForNoMore_AndKnownOnesWork()
    {
        var asked = 0;
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys, new FixtureOptions
        {
            Store = clock => new FaultyStore(clock)
            {
                Before = operation =>
                {
                    asked += operation.StartsWith("FindAuthAsync", StringComparison.Ordinal) ? 1 : 0;
                    return Task.CompletedTask;
                },
            },
        });
        var (known, fresh) = (await gateway.KeyAsync(), await gateway.KeyAsync("ben"));
        Task<(HttpStatusCode Status, string Body, HttpResponseHeaders Headers)> TryAsync(string token, string address = "127.0.0.1") => gateway.SendAsync(HttpMethod.Get, "/mcp/status", token, ("X-Test-Address", address));
        Assert.Equal(HttpStatusCode.OK, (await TryAsync(known)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync("not even one of ours")).Status);
        for (var i = 0; i < Authenticator.UnknownPerMinute; i++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync($"mrk_{i}")).Status);
        }

        var before = asked;
        var (status, body, headers) = await TryAsync("mrk_x");
        Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromMinutes(1), before), (status, headers.RetryAfter!.Delta!.Value, asked));
        Assert.Contains("\"error\"", body, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests), ((await TryAsync(known)).Status, (await TryAsync(fresh)).Status));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), ((await TryAsync(fresh, "10.0.0.9")).Status, (await TryAsync("mrk_x", "10.0.0.9")).Status));
        Assert.Equal(HttpStatusCode.OK, (await TryAsync(fresh)).Status);
        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync("mrk_x")).Status);
    }

    [Fact]
    public async Task Token_InTheAddress_IsNotLookedAt()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);
        var key = await gateway.KeyAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Get, $"/mcp/status?access_token={key}&token={key}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", key)).Status);
    }

    [Fact]
    public async Task Key_OfAModeThatIsOff_IsNotTaken()
    {
        await using var gateway = await AuthFixture.StartAsync(OAuth with { Mode = [AuthMode.OAuth] });
        var key = await gateway.KeyAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", key)).Status);
    }

    [Fact]
    public async Task Key_OfSomebody_IsWhoseSessionsAre_AndAnotherPersonsAre404()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);
        var (ann, ben) = (await gateway.KeyAsync("ann"), await gateway.KeyAsync("ben"));
        var client = await gateway.ClientWithAsync(ann);
        var session = gateway.Session(client);

        Assert.Equal((Person.OfApiKeys, "ann"), (session.Principal.Issuer, session.Principal.Subject));
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
        Assert.Equal(HttpStatusCode.OK, await client.With(await gateway.KeyAsync("ann")).TryAsync());
        Assert.Equal(HttpStatusCode.NotFound, await client.With(ben).TryAsync());
        using var listening = await client.GetAsync();
        Assert.Equal(HttpStatusCode.NotFound, listening.Status);
        using var deleting = await client.DeleteAsync();
        Assert.Equal(HttpStatusCode.NotFound, deleting.Status);
        Assert.False(session.IsEnded);
    }

    [Fact]
    public async Task Admin_NeedsItsScope_AndThenNeitherTheMachineNorItsName()
    {
        await using var gateway = await AuthFixture.StartAsync(OAuth);
        var (plain, admin) = (await gateway.KeyAsync(), await gateway.KeyAsync("root", null, Scopes.Admin));

        var (status, body, headers) = await gateway.SendAsync(HttpMethod.Post, "/reindex", plain);
        Assert.Equal(HttpStatusCode.Forbidden, status);
        Assert.Contains("needs the scope admin", body, StringComparison.Ordinal);
        Assert.Equal(
            "Bearer error=\"insufficient_scope\", error_description=\"This needs the scope admin.\", scope=\"admin\", resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/admin/api\"",
            headers.WwwAuthenticate.ToString());
        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", plain)).Status);
        // 404: nothing here is read beforehand, which only somebody who was let in is told.
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.SendAsync(HttpMethod.Post, "/reindex", admin, ("X-Test-Address", "10.0.0.9"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", admin, ("X-Test-Address", "10.0.0.9"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", admin)).Status);
    }

    [Fact]
    public async Task Admin_FromTheSameMachineWithoutAToken_Is401WherePeopleAreKnown()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Post, "/admin/api/drain")).Status);
        Assert.False(gateway.Drain.Progress.Stage is not null);
    }

    [Fact]
    public async Task Host_ThatKnowsWhoItIs_IsBelieved_ButNamesNoAdministrators()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);

        var client = await gateway.ClientAsync(user: "ann");

        Assert.Equal("https://issuer.test", gateway.Session(client).Principal.Issuer);
        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Post, "/admin/api/drain", null, ("X-Test-User", "ann"))).Status);
    }

    [Fact]
    public async Task Browser_AsksBeforeItSendsAToken_IsAnswered()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);

        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Options, "/mcp", null, ("Origin", "http://localhost:5173"), ("Access-Control-Request-Headers", "authorization"));

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Equal("authorization", headers.GetValues("Access-Control-Allow-Headers").Single());
    }

    [Fact]
    public async Task Health_AndMetrics_AskNobody()
    {
        await using var gateway = await AuthFixture.StartAsync(AuthFixture.Keys);

        foreach (var path in new[] { "/health", "/ready", "/mcp/health", "/metrics" })
        {
            Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, path)).Status);
        }
    }

    [Theory]
    [InlineData("/.well-known/oauth-protected-resource", "https://mcp.example.com/gw")]
    [InlineData("/.well-known/oauth-protected-resource/mcp", "https://mcp.example.com/gw/mcp")]
    [InlineData("/.well-known/oauth-protected-resource/gw/mcp", "https://mcp.example.com/gw/mcp")]
    [InlineData("/.well-known/oauth-protected-resource/servers/one/mcp", "https://mcp.example.com/gw/servers/one/mcp")]
    public async Task ResourceMetadata_OfAPath_NamesItAndTheIssuers(string path, string resource)
    {
        await using var gateway = await AuthFixture.StartAsync(
            OAuth with { Mode = [AuthMode.OAuth, AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = "https://login.example.com" }] },
            config: c => c with { PublicUrl = new Uri("https://mcp.example.com/gw/"), Hosts = ["localhost"] });

        var (status, body, headers) = await gateway.SendAsync(HttpMethod.Get, path, null, ("Origin", "https://anywhere.example"), ("X-Forwarded-Host", "evil.example"));

        Assert.Equal(HttpStatusCode.OK, status);
        var document = System.Text.Json.Nodes.JsonNode.Parse(body)!;
        Assert.Equal(resource, (string?)document["resource"]);
        Assert.Equal(["https://mcp.example.com/gw", "https://login.example.com"], document["authorization_servers"]!.AsArray().Select(one => (string?)one));
        Assert.Equal(["mcp"], document["scopes_supported"]!.AsArray().Select(one => (string?)one));
        Assert.Equal("*", headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Fact]
    public async Task ResourceMetadata_OfAForeignHost_Is403_AndWithoutIssuers404()
    {
        await using var keys = await AuthFixture.StartAsync(AuthFixture.Keys);
        await using var oauth = await AuthFixture.StartAsync(OAuth);

        Assert.Equal(HttpStatusCode.NotFound, (await keys.SendAsync(HttpMethod.Get, "/.well-known/oauth-protected-resource")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await oauth.SendAsync(HttpMethod.Get, "/.well-known/oauth-protected-resource", null, ("Host", "evil.example"))).Status);
    }
}
