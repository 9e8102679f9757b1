using System.Net;
using Xunit;

namespace Mooring.Tests.Admin;

public sealed class HealthEndpointsTests
{
    [Theory]
    [InlineData("/health", HttpStatusCode.OK)]
    [InlineData("/mcp/health", HttpStatusCode.OK)]
    [InlineData("/ready", HttpStatusCode.ServiceUnavailable)]
    public async Task Head_IsAnsweredAsGet_WithoutTheBody(string path, HttpStatusCode whileDraining)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        Assert.Equal((HttpStatusCode.OK, ""), await HeadAsync());

        _ = gateway.Drain.Begin(evenIfIdle: true);

        Assert.Equal((whileDraining, ""), await HeadAsync());

        async Task<(HttpStatusCode Status, string Body)> HeadAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Head, path);
            using var head = await gateway.Http.SendAsync(request, TestContext.Current.CancellationToken);
            using var get = await gateway.Http.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.Equal(get.StatusCode, head.StatusCode);
            Assert.Equal(("application/json", "no-store"), (head.Content.Headers.ContentType!.MediaType, head.Headers.CacheControl!.ToString()));
            return (head.StatusCode, await head.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }
}
