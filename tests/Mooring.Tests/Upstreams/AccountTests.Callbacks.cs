using System.Net;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Ways back that providers were told in earlier deployments.</content>
public sealed partial class AccountTests
{
    [Theory]
    [InlineData("/auth/hubspot/callback")]
    [InlineData("/auth/slack/callback")]
    [InlineData("/oauth/hubspot-callback")]
    public async Task Callback_OfAnEarlierSystem_LinksAtTheProviderThatItsStateSays(string path)
    {
        await StartAsync();
        GoBackTo(("other", "/auth/other/callback"), ("acme", path));
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        using var pressed = await SendAsync(HttpMethod.Post, await AddressAsync(client), origin: "https://gateway.test");
        var cookie = pressed.Headers.GetValues("Set-Cookie").Single();
        var back = _authorization.Allow(pressed.Headers.Location!);
        using var elsewhere = await SendAsync(HttpMethod.Get, back);
        using var done = await SendAsync(HttpMethod.Get, back, cookie: cookie.Split(';')[0]);

        Assert.Equal("https://gateway.test" + path, back.GetLeftPart(UriPartial.Path));
        // Else no browser would bring it there.
        Assert.Contains($"path={path};", cookie, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK), (elsewhere.StatusCode, done.StatusCode));
        Assert.Equal("https://gateway.test" + path, _authorization.Form["redirect_uri"]);
        Assert.Contains($"path={path};", done.Headers.GetValues("Set-Cookie").Single(), StringComparison.Ordinal);
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Callback_OfAnEarlierSystem_StateIsNobodys_LinksNothing()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        var (back, cookie) = await GoAsync(await AddressAsync(client));
        var older = new UriBuilder(back) { Path = "/auth/hubspot/callback" }.Uri;

        // No provider goes back there; then another one does.
        using var none = await SendAsync(HttpMethod.Get, older, cookie: cookie);
        GoBackTo(("other", "/auth/hubspot/callback"));
        using var another = await SendAsync(HttpMethod.Get, older, cookie: cookie);

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.BadRequest), (none.StatusCode, another.StatusCode));
        Assert.Equal(-32042, (int)(await client.ResultAsync("echo"))["error"]!["code"]!);
    }

    /// <summary>Has providers send people back to other paths than the gateway's own.</summary>
    private void GoBackTo(params (string Provider, string Path)[] paths)
    {
        var providers = new Dictionary<string, AccountProviderConfig>(_gateway.Config.Current.Providers, StringComparer.Ordinal);
        foreach (var (provider, path) in paths)
        {
            providers[provider] = providers[provider] with { RedirectUri = new Uri("https://gateway.test" + path) };
        }

        _gateway.Config.Replace(_gateway.Config.Current with { Providers = providers });
    }
}
