using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Servers that want more for one tool than for another (step-up authorization).</content>
public sealed partial class AccountTests
{
    /// <summary>SEP-2350: whoever dropped what was allowed before would be asked for that next, and so on for ever.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("from-challenge other")]
    public async Task OAuthServer_WantsMoreThanTheTokenAllows_IsLinkedAgainWithThatAndWhatWasAllowedBefore(string? granted)
    {
        _authorization.Granted = granted;
        var client = await SteppingUpAsync([], "read more");

        var to = await BeginAsync(await AddressAsync(client));

        Assert.Equal($"{granted ?? "from-challenge"} read more", QueryHelpers.ParseQuery(to.Query)["scope"].ToString());
    }

    [Fact]
    public async Task OAuthServer_TwoToolsWantDifferentScopes_BothAreAllowedInTheEnd()
    {
        var client = await SteppingUpAsync([], "read");
        await LinkAsync(await AddressAsync(client));
        RefuseCalls(HttpStatusCode.Forbidden, "Bearer error=\"insufficient_scope\", scope=\"write\"");

        var to = await BeginAsync(await AddressAsync(client));

        Assert.Equal("from-challenge read write", QueryHelpers.ParseQuery(to.Query)["scope"].ToString());
    }

    /// <summary>Another authorization server may not know them, and would lead nowhere.</summary>
    [Fact]
    public async Task OAuthServer_HasAnotherAuthorizationServerByNow_IsNotAskedForWhatTheOneBeforeAllowed()
    {
        var client = await SteppingUpAsync([], "more");
        _authorization.Metadata["token_endpoint"] = "https://as.test/elsewhere";

        var to = await BeginAsync(await AddressAsync(client));

        Assert.Equal("more", QueryHelpers.ParseQuery(to.Query)["scope"].ToString());
    }

    [Fact]
    public async Task OAuthServer_WantsWhatTheConfigurationDoesNotAskFor_SaysWhichScopeAndWhere_AndGivesNoLink()
    {
        var client = await SteppingUpAsync(["mine"], "mine more");

        var error = (await client.ResultAsync("echo"))["error"]!;

        Assert.Equal("upstream_refused", (string?)error["data"]!["mooring"]!["reason"]);
        Assert.Contains("the scope more, which the gateway does not ask for; whoever runs the gateway can add it to its auth.scopes", (string?)error["message"], StringComparison.Ordinal);
        Assert.DoesNotContain("/connect/", error.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OAuthServer_WantsWhatTheConfigurationAsksForByNow_IsLinkedAgain()
    {
        var client = await SteppingUpAsync(["mine", "more"], "more");

        var to = await BeginAsync(await AddressAsync(client));

        Assert.Equal("mine more", QueryHelpers.ParseQuery(to.Query)["scope"].ToString());
    }

    /// <summary>A client whose account is linked, at a server that wants more for calls than that allows.</summary>
    private async Task<McpTestClient> SteppingUpAsync(string[] configured, string wanted)
    {
        _good.UnionWith(["Bearer token-2", "Bearer token-3"]);
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth, Scopes = configured });
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(client));
        await client.ResultAsync("echo");
        RefuseCalls(HttpStatusCode.Forbidden, $"Bearer error=\"insufficient_scope\", scope=\"{wanted}\"");
        return client;
    }
}
