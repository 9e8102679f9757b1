using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using Mooring.Configuration;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Servers that say nothing of where their tokens come from, and those that cannot be asked just now.</content>
public sealed partial class AccountTests
{
    private const string Its = "http://one.test/.well-known/oauth-protected-resource/mcp";
    private const string AtTheRoot = "http://one.test/.well-known/oauth-authorization-server";

    [Theory]
    [InlineData(HttpStatusCode.NotFound)]
    [InlineData(HttpStatusCode.Unauthorized)]
    public async Task OAuthServer_OfAnOldVersion_IsAskedAtItsRoot_WhereItHasNoMetadataOfItsOwn(HttpStatusCode otherwise)
    {
        BeOld();
        _authorization.Otherwise = otherwise;
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });

        var to = await BeginAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));

        Assert.Equal("https://as.test/authorize", to.GetLeftPart(UriPartial.Path));
        Assert.False(QueryHelpers.ParseQuery(to.Query).ContainsKey("resource"));
    }

    public static TheoryData<string> Doubts => [.. s_doubts.Keys];

    private static readonly Dictionary<string, Action<AccountTests>> s_doubts = new(StringComparer.Ordinal)
    {
        ["its metadata cannot be had just now"] = test => test._authorization.Answers[Its] = () => new HttpResponseMessage(HttpStatusCode.ServiceUnavailable),
        ["its metadata are too many requests away"] = test => test._authorization.Answers[Its] = () => new HttpResponseMessage(HttpStatusCode.TooManyRequests),
        ["its host does not answer"] = test => test._authorization.Answers[Its] = () => throw new HttpRequestException(HttpRequestError.ConnectionError),
        ["its metadata are no JSON"] = test => test._authorization.Answers[Its] = () => new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent("<html>") },
        ["its metadata name nobody"] = test => test._authorization.Answers[Its] = () => FakeAuthorizationServer.Json(HttpStatusCode.OK, new JsonObject { ["resource"] = "http://one.test/mcp" }),
        ["its challenge names metadata that are not there"] = test => test._challenge = Named,
        ["the root is somebody else's"] = test => test.Root("issuer", "http://others.test"),
        ["the root does plain PKCE"] = test => test.Root("code_challenge_methods_supported", new JsonArray("plain")),
    };

    [Theory]
    [MemberData(nameof(Doubts))]
    public async Task OAuthServer_ItIsNotSaidThatItHasNoMetadata_OrTheRootDoesNotFit_LeadsNowhere(string doubt)
    {
        BeOld();
        s_doubts[doubt](this);
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });

        using var refused = await SendAsync(HttpMethod.Post, await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)), origin: "https://gateway.test");

        Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
        Assert.Null(_authorization.Registered);
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound, "https://one.test/authorize")]
    [InlineData(HttpStatusCode.BadGateway, null)]
    public async Task OAuthServer_OfAnOldVersion_ItsPathsAreTheUsualOnes_WhereItsRootSaysThatItHasNoMetadata(HttpStatusCode root, string? expected)
    {
        await StartAsync();
        _authorization.Answers["https://one.test/.well-known/oauth-authorization-server"] = () => new HttpResponseMessage(root);

        var (found, why) = await _gateway.Get<OAuthDiscovery>().FindAsync(new Uri("https://one.test/mcp"), Challenge.None, wanted: null, TestContext.Current.CancellationToken);

        Assert.Equal(expected, found?.AuthorizeUrl.AbsoluteUri);
        Assert.Equal(expected is null, why.Length > 0);
    }

    [Fact]
    public async Task OAuthServer_ItsAuthorizationServerCannotBeAsked_IsNotLookedForElsewhere()
    {
        _authorization.Answers["https://as.test/.well-known/oauth-authorization-server"] = () => new HttpResponseMessage(HttpStatusCode.ServiceUnavailable);
        _authorization.Answers["https://as.test/.well-known/openid-configuration"] = () => FakeAuthorizationServer.Json(HttpStatusCode.OK, _authorization.Metadata);
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });

        using var refused = await SendAsync(HttpMethod.Post, await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)), origin: "https://gateway.test");

        Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
    }

    [Theory]
    [InlineData("https://as.test", "https://as.test/authorize")]
    [InlineData(null, "https://first.test/authorize")]
    public async Task OAuthServer_NamesSeveralAuthorizationServers_TheOneOfTheConfigurationIsTaken_ElseTheFirst(string? configured, string expected)
    {
        _authorization.Resource!["authorization_servers"] = new JsonArray("https://first.test", "https://as.test");
        var first = _authorization.Metadata.DeepClone().AsObject();
        (first["issuer"], first["authorization_endpoint"]) = ("https://first.test", "https://first.test/authorize");
        _authorization.Answers["https://first.test/.well-known/oauth-authorization-server"] = () => FakeAuthorizationServer.Json(HttpStatusCode.OK, first);
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth, Issuer = configured, ClientId = "known" });

        var to = await BeginAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));

        Assert.Equal(expected, to.GetLeftPart(UriPartial.Path));
    }

    /// <summary>A server as of 2025-03-26: its challenge names nothing, and its authorization server is at its root.</summary>
    private void BeOld()
    {
        _challenge = "Bearer";
        _authorization.Resource = null;
        Root("issuer", "http://one.test");
    }

    private void Root(string name, JsonNode value)
    {
        var metadata = _authorization.Metadata.DeepClone().AsObject();
        metadata["issuer"] = "http://one.test";
        metadata[name] = value;
        _authorization.Answers[AtTheRoot] = () => FakeAuthorizationServer.Json(HttpStatusCode.OK, metadata);
    }
}
