using System.Net;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Hello and lists while nothing is known of a server yet, or it hangs (invariants 3 and 4).</summary>
public sealed class InitializeTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Merged_NoServerEverAnswered_HelloIsAnsweredAtOnce(bool hangs)
    {
        var server = new FakeUpstream { Intercept = _ => hangs ? true : throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted") };
        await using var gateway = await GatewayFixture.StartAsync(null, server);

        // No time passes: the server is not waited for.
        var client = await gateway.ClientAsync(path: "/mcp");

        Assert.NotNull(client.SessionId);
    }

    [Fact]
    public async Task Single_ServerHangs_HelloIsAnsweredAfterTheFirstWait()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Intercept = _ => true });

        var client = await gateway.PassTimeAsync(gateway.ClientAsync(), TimeSpan.FromSeconds(4), "the answer");

        Assert.NotNull(client.SessionId);
    }

    [Fact]
    public async Task Health_ServerHangs_IsOkAndReady()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Intercept = _ => true });

        using var health = await gateway.Http.GetAsync("/health", TestContext.Current.CancellationToken);
        using var ready = await gateway.Http.GetAsync("/ready", TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (health.StatusCode, ready.StatusCode));
    }
}
