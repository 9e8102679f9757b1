using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>The pages, opened by anybody, and below a path.</content>
public sealed partial class AccountTests
{
    [Theory]
    [InlineData("/connect/acme?ticket=x")]
    [InlineData("/connect/acme/callback?state=x&code=y")]
    public async Task Pages_OpenedAgainAndAgainFromOneAddress_Are429ForAWhile_AndForOthersNot(string path)
    {
        await StartAsync();
        async Task<HttpResponseMessage> OpenAsync(string address)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("https://gateway.test" + path));
            request.Headers.Add("X-Test-Address", address);
            return await Limit.Of(_gateway.Http.SendAsync(request, TestContext.Current.CancellationToken), path);
        }

        for (var i = 0; i < 60; i++)
        {
            using var refused = await OpenAsync($"2001:db8::{i:x}");
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }

        using var oneTooMany = await OpenAsync("2001:db8::ffff");
        using var another = await OpenAsync("2001:db8:0:1::1");
        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.BadRequest), (oneTooMany.StatusCode, another.StatusCode));
        Assert.Equal(TimeSpan.FromMinutes(1), oneTooMany.Headers.RetryAfter!.Delta);
        _gateway.Advance(TimeSpan.FromMinutes(1));
        using var later = await OpenAsync("2001:db8::1");
        Assert.Equal(HttpStatusCode.BadRequest, later.StatusCode);
    }

    [Theory]
    [InlineData(99)]
    [InlineData(1)]
    public async Task Ticket_MadeUp_IsOfNoUse_AndIsNotWorthALineInTheLog(byte key)
    {
        await StartAsync();
        var ticket = Base64Url.EncodeToString([0xF5, 1, 0, 0, 0, key, .. RandomNumberGenerator.GetBytes(60)]);

        foreach (var path in new[] { $"/connect/acme?ticket={ticket}", $"/connect/acme/callback?code=x&state={ticket}" })
        {
            using var refused = await SendAsync(HttpMethod.Get, new Uri("https://gateway.test" + path));
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }

        Assert.DoesNotContain(_gateway.LogLines.Lines, line => line.Contains("SealedRowUnreadable", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Gateway_BelowAPath_ItsPagesAreThereForBrowsersAndProviders()
    {
        _authorization.Metadata["client_id_metadata_document_supported"] = true;
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        _gateway.Config.Replace(_gateway.Config.Current with { PublicUrl = new Uri("https://gateway.test/gw/") });

        var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));
        Assert.StartsWith("https://gateway.test/gw/connect/one?ticket=", address.AbsoluteUri, StringComparison.Ordinal);
        // The proxy before it takes the path away.
        using var pressed = await SendAsync(HttpMethod.Post, new Uri(address.AbsoluteUri.Replace("/gw/", "/", StringComparison.Ordinal)), origin: "https://gateway.test");
        using var document = await SendAsync(HttpMethod.Get, new Uri("https://gateway.test/connect/client.json"));

        var query = QueryHelpers.ParseQuery(pressed.Headers.Location!.Query);
        Assert.Equal(("https://gateway.test/gw/connect/one/callback", "https://gateway.test/gw/connect/client.json"), (query["redirect_uri"].ToString(), query["client_id"].ToString()));
        Assert.Contains("path=/gw/connect;", pressed.Headers.GetValues("Set-Cookie").Single(), StringComparison.Ordinal);
        var described = JsonNode.Parse(await document.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal("https://gateway.test/gw/connect/client.json", (string?)described["client_id"]);
        Assert.Contains("https://gateway.test/gw/connect/one/callback", described["redirect_uris"]!.AsArray().Select(uri => (string?)uri));
    }
}
