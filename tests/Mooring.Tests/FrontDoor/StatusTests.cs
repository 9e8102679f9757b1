using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary><c>GET /mcp/status</c>: the caller's own sessions; the path of earlier deployments showed everybody's.</summary>
public sealed class StatusTests
{
    [Fact]
    public async Task Get_SessionsOfSeveralUsers_ShowsTheCallersOwn()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var mine = await gateway.ClientAsync(user: "ann");
        await gateway.ClientAsync(user: "ben");
        await gateway.ClientAsync();
        using var listening = await gateway.ListenAsync(mine);

        var (status, body) = await SendAsync(gateway, "ann");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("ann", (string?)body["user"]);
        Assert.Equal((1, 0, false), ((int)body["connections"]!, (int)body["calls"]!, (bool)body["draining"]!));
        var session = Assert.Single(body["sessions"]!.AsArray())!;
        Assert.Equal(mine.SessionId![..8], (string?)session["id"]);
        Assert.Equal(("one", "http", "2025-11-25"), ((string?)session["server"], (string?)session["transport"], (string?)session["protocolVersion"]));
        Assert.NotNull((string?)session["client"]);
        Assert.DoesNotContain(mine.SessionId!, body.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_EndedAndNoSessions_ShowsNone()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(user: "ann");
        await client.DeleteAsync();

        Assert.Empty((await SendAsync(gateway, "ann")).Body["sessions"]!.AsArray());
        Assert.Empty((await SendAsync(gateway, "nobody")).Body["sessions"]!.AsArray());
    }

    [Fact]
    public async Task Get_ForeignPage_Is403()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/mcp/status");
        request.Headers.Add("Origin", "https://evil.test");

        using var response = await gateway.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    private static async Task<(HttpStatusCode Status, JsonObject Body)> SendAsync(GatewayFixture gateway, string user)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/mcp/status");
        request.Headers.Add("X-Test-User", user);
        using var response = await gateway.Http.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject());
    }
}
