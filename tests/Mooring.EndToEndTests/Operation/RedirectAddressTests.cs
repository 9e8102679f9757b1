using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>Addresses that a browser is led to stand in a header, which the real server writes in ASCII or not at all.</summary>
public sealed class RedirectAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1/r%C3%BCck", HttpStatusCode.SeeOther)]
    [InlineData("http://127.0.0.1/rück", HttpStatusCode.BadRequest)]
    public async Task Authorize_AddressOfTheClientIsNotAscii_TellsThePersonInPlaceOfFailing(string address, HttpStatusCode expected)
    {
        var config = GatewayProcess.Config();
        config["auth"] = new JsonObject
        {
            ["mode"] = "oauth",
            ["oauth"] = new JsonObject
            {
                ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = "secret" } },
                ["clients"] = new JsonObject { ["known"] = new JsonObject { ["redirectUris"] = address } },
            },
        };
        await using var gateway = await GatewayProcess.StartAsync(config);
        using var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });

        // Wrong in another way, so that the client is to be told.
        using var response = await http.GetAsync(
            new Uri(gateway.BaseUrl, $"/oauth/authorize?client_id=known&response_type=token&redirect_uri={Uri.EscapeDataString(address)}"), TestContext.Current.CancellationToken);

        Assert.Equal(expected, response.StatusCode);
    }
}
