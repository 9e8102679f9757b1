using System.Net;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>How long somebody stays in without whoever vouches for them being asked again.</summary>
public sealed class SignInAgainTests
{
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    [Fact]
    public async Task Refresh_EachDay_EndsAWeekAfterTheSignIn_WithTheAccessToken_AndTheSignInInTheBrowser()
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var (_, refresh) = await client.TokensAsync(browser);
        for (var day = 0; day < 6; day++)
        {
            gateway.Advance(TimeSpan.FromDays(1));
            refresh = (string)(await client.RefreshAsync(refresh)).Json["refresh_token"]!;
        }

        gateway.Advance(TimeSpan.FromHours(23.5));
        var (status, json) = await client.RefreshAsync(refresh);
        Assert.Equal((HttpStatusCode.OK, 1800), (status, (int)json["expires_in"]!));
        var mcp = await gateway.ClientWithAsync((string)json["access_token"]!);
        gateway.Advance(TimeSpan.FromMinutes(30));

        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        Assert.Equal("invalid_grant", (string?)(await client.RefreshAsync((string)json["refresh_token"]!)).Json["error"]);
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Consent_DaysAfterTheSignIn_CountsFromTheSignIn()
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);
        gateway.Advance(TimeSpan.FromDays(6));
        var (_, refresh) = await client.TokensAsync(browser);

        gateway.Advance(TimeSpan.FromDays(1));

        Assert.Equal("invalid_grant", (string?)(await client.RefreshAsync(refresh)).Json["error"]);
    }

    [Fact]
    public async Task Refresh_OfAGrantOfARelease_ThatDidNotNoteTheSignIn_EndsAWeekAfterItsBeginning()
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (store, now) = (gateway.Get<IAuthStore>(), gateway.Clock.GetUtcNow());
        var ann = new Person(Person.OfConfiguration, "ann");
        string[] tokens = ["mrr_one", "mrr_two"];
        await store.AddAuthAsync(new AuthRecord { Kind = AuthKind.Grant, Key = "g", Data = AuthJson.Write(new GrantData(ann, client.Id, null)), Created = now, Expires = now + TimeSpan.FromDays(30) });
        foreach (var token in tokens)
        {
            var data = AuthJson.Write(new TokenData(ann, client.Id, [Scopes.Use], "/servers/one/mcp"));
            await store.AddAuthAsync(new AuthRecord { Kind = AuthKind.RefreshToken, Key = Secret.KeyOf(token), Grant = "g", Data = data, Created = now, Expires = now + TimeSpan.FromDays(30) });
        }

        gateway.Advance(Week - TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(tokens[0])).Status);
        gateway.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("invalid_grant", (string?)(await client.RefreshAsync(tokens[1])).Json["error"]);
        Assert.Empty(await store.ListAuthAsync(AuthKind.Grant, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Setting_MadeShorter_CountsForWhatWasGivenBefore()
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var mcp = await gateway.ClientWithAsync(access);
        gateway.Advance(TimeSpan.FromMinutes(30));

        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = config.Auth with { OAuth = config.Auth.OAuth with { SignInAgainAfter = TimeSpan.FromMinutes(20) } } });

        Assert.Equal(HttpStatusCode.OK, await mcp.TryAsync());
        Assert.Equal("invalid_grant", (string?)(await client.RefreshAsync(refresh)).Json["error"]);
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
    }

    private static Task<GatewayFixture> StartAsync() => SignInFixture.StartAsync(oauth => oauth with { SignIn = TimeSpan.FromDays(30), SignInAgainAfter = Week });
}
