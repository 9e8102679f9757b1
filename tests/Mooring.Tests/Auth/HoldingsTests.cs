using System.Net;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>One person is shut out by whoever steers the gateway, from outside of it.</summary>
public sealed class HoldingsTests
{
    [Fact]
    public async Task RevokeAll_OfOnePerson_EndsTokensOfAllClients_TheirRefreshing_AndTheSignIn_AndNobodyElses()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (one, two) = (await TestOAuthClient.RegisterAsync(gateway), await TestOAuthClient.RegisterAsync(gateway));
        var browser = new TestBrowser(gateway.Http);
        var (access, refresh) = await one.TokensAsync(browser);
        var (second, _) = await two.TokensAsync();
        var code = (await two.AllowAsync(browser)).Query["code"]!;
        var (other, othersRefresh) = await one.TokensAsync(user: "ben");
        var (ann, elsewhere, ben) = (await gateway.ClientWithAsync(access), await gateway.ClientWithAsync(second), await gateway.ClientWithAsync(other));

        var gone = await RevokeAsync(gateway, "ann");
        gateway.Advance(TimeSpan.FromSeconds(4.9));

        Assert.Equal([AuthKind.Browser, AuthKind.Browser, AuthKind.Grant, AuthKind.Grant, AuthKind.Grant], gone.Select(held => held.Kind));
        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await ann.TryAsync(), await elsewhere.TryAsync(), await ben.TryAsync()));
        Assert.Equal("invalid_grant", (string?)(await one.RefreshAsync(refresh)).Json["error"]);
        Assert.Equal("invalid_grant", (string?)(await two.ExchangeAsync(code)).Json["error"]);
        var page = await browser.OpenAsync((await browser.OpenAsync(one.AuthorizeUrl())).Location!);
        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await one.RefreshAsync(othersRefresh)).Status);
    }

    [Fact]
    public async Task RevokeAll_OpenStreamThatNothingElseUses_EndsWithinFiveSeconds()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (access, _) = await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync();
        using var stream = await gateway.ListenAsync(await gateway.ClientWithAsync(access));

        await RevokeAsync(gateway, "ann");

        await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");
        Assert.Contains(await gateway.MetricsAsync("mooring_stream_duration"), line => line.Contains("reason=\"auth_expired\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RevokeAllOfClient_EndsWhatEverybodyAllowedIt_AndNothingOfOtherClients()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (one, two) = (await TestOAuthClient.RegisterAsync(gateway), await TestOAuthClient.RegisterAsync(gateway));
        var (access, refresh) = await one.TokensAsync();
        var (second, secondRefresh) = await one.TokensAsync(user: "ben");
        var (other, othersRefresh) = await two.TokensAsync();
        var (ann, ben, elsewhere) = (await gateway.ClientWithAsync(access), await gateway.ClientWithAsync(second), await gateway.ClientWithAsync(other));

        var gone = await new Holdings(gateway.Get<IAuthStore>(), gateway.Clock).RevokeAllOfClientAsync(one.Id, TestContext.Current.CancellationToken);
        gateway.Advance(TimeSpan.FromSeconds(4.9));

        Assert.Equal(["ann", "ben"], gone.Select(held => held.Person.Subject).Order());
        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await ann.TryAsync(), await ben.TryAsync(), await elsewhere.TryAsync()));
        Assert.Equal("invalid_grant", (string?)(await one.RefreshAsync(refresh)).Json["error"]);
        Assert.Equal("invalid_grant", (string?)(await one.RefreshAsync(secondRefresh)).Json["error"]);
        Assert.Equal(HttpStatusCode.OK, (await two.RefreshAsync(othersRefresh)).Status);
    }

    [Fact]
    public async Task RevokeAll_ByName_IsThatPersonOfTheConfigurationAndOfKeys_AndNobodyOfAnotherIssuer()
    {
        await using var gateway = await AuthFixture.StartAsync(SignInFixture.Local with { Mode = [AuthMode.OAuth, AuthMode.ApiKey] });
        await gateway.KeyAsync("ann");
        var bens = await gateway.ClientWithAsync(await gateway.KeyAsync("ben"));
        var store = gateway.Get<IAuthStore>();
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.Grant,
            Key = "0123456789abcdef",
            Data = AuthJson.Write(new GrantData(new Person("https://id.corp.example", "ann", Email: "ann@example.com"), "client", null)),
            Created = gateway.Clock.GetUtcNow(),
            Expires = gateway.Clock.GetUtcNow() + TimeSpan.FromDays(1),
        });

        Assert.Equal([AuthKind.ApiKey], (await RevokeAsync(gateway, "ann")).Select(held => held.Kind));
        Assert.Empty(await RevokeAsync(gateway, "https://login.example.com#ann"));
        Assert.Equal([AuthKind.Grant], (await RevokeAsync(gateway, "Ann@Example.com")).Select(held => held.Kind));
        Assert.Equal(HttpStatusCode.OK, await bens.TryAsync());
    }

    /// <summary>As the command does, which has nothing but the store.</summary>
    private static Task<IReadOnlyList<Holding>> RevokeAsync(GatewayFixture gateway, string person) =>
        new Holdings(gateway.Get<IAuthStore>(), gateway.Clock).RevokeAllAsync(person, TestContext.Current.CancellationToken);
}
