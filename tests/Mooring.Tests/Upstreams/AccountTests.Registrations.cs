using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Registrations at authorization servers, which come to an end there without a word.</content>
public sealed partial class AccountTests
{
    [Fact]
    public async Task Registration_ThatItsServerForgot_IsMadeAnewWithTheNextLink_AndWhoWasLinkedIsAskedAgainOnceTheTokenEnds()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        var (ann, bob) = (await _gateway.ClientAsync(user: "ann", capabilities: Url), await _gateway.ClientAsync(user: "bob", capabilities: Url));
        await LinkAsync(await AddressAsync(ann));

        _authorization.Forget();
        Assert.Equal("registered", await ClientAsync(bob));
        _gateway.Advance(TimeSpan.FromMinutes(1));
        _good.Add("Bearer token-2");
        Assert.Equal("registered-2", await ClientAsync(bob));
        await LinkAsync(await AddressAsync(bob));
        Assert.Equal("nothing", (await bob.ResultAsync("echo")).Text());
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());

        // With the one before nobody refreshes what was had with it.
        _gateway.Advance(TimeSpan.FromHours(2));
        _good.UnionWith(Enumerable.Range(3, 20).Select(n => $"Bearer token-{n}"));
        Assert.Equal(-32042, (int)(await _gateway.PassTimeAsync(ann.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!["code"]!);
        await LinkAsync(await AddressAsync(ann));
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());
        Assert.Equal(2, _authorization.Requests.Count(request => request == "POST https://as.test/register"));
    }

    /// <summary>Whoever cannot be asked, or says something else, says nothing against a registration.</summary>
    [Fact]
    public async Task Registration_ThatItsServerKnows_StaysHoweverOldItIs_AndAlsoWhileTokensCannotBeHad()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        Assert.Equal("registered", await ClientAsync(client));

        _gateway.Advance(TimeSpan.FromHours(12));
        Assert.Equal("registered", await ClientAsync(client));
        _authorization.Answers["https://as.test/token"] = () => new HttpResponseMessage(HttpStatusCode.ServiceUnavailable);
        Assert.Equal("registered", await ClientAsync(client));
    }

    [Theory]
    [InlineData(true, "registered-2")]
    [InlineData(false, "registered")]
    public async Task Registration_WhoseSecretEnds_IsMadeAnewAfterThat_AndBeforeSomebodyWouldComeBackTooLate(bool ends, string after)
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        _authorization.SecretEnds = ends ? _gateway.Clock.GetUtcNow().AddHours(1).ToUnixTimeSeconds() : 0;
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        Assert.Equal("registered", await ClientAsync(client));

        _gateway.Advance(TimeSpan.FromMinutes(49));
        Assert.Equal("registered", await ClientAsync(client));
        _gateway.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(after, await ClientAsync(client));
    }

    /// <summary>As whom somebody is sent to the authorization server.</summary>
    private async Task<string> ClientAsync(McpTestClient client)
    {
        using var pressed = await SendAsync(HttpMethod.Post, await AddressAsync(client), origin: "https://gateway.test");
        return QueryHelpers.ParseQuery(pressed.Headers.Location!.Query)["client_id"].ToString();
    }
}
