using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>The pages below a path.</content>
public sealed partial class AccountTests
{
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
