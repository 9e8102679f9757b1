using System.Net;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Admin;

/// <summary><c>POST /reindex</c>: an administrator does not want to wait until a connector finds out by itself.</summary>
public sealed class ReindexEndpointTests
{
    [Fact]
    public async Task Post_ConnectorsThatReadThings_AreReadAgainAndCounted()
    {
        await using var gateway = await StartAsync(new Shelf("a", () => 3), new Shelf("b", () => 4), new Shelf("none", () => null));

        Assert.Equal((HttpStatusCode.OK, """{"ok":true,"count":7}"""), await SendAsync(gateway, HttpMethod.Post));
    }

    [Fact]
    public async Task Post_NothingIsReadBeforehand_Is404()
    {
        await using var gateway = await StartAsync(new Shelf("none", () => null));

        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(gateway, HttpMethod.Post)).Status);
    }

    [Fact]
    public async Task Post_CannotBeRead_Is503AndSaysWhy()
    {
        await using var gateway = await StartAsync(new Shelf("a", () => throw new IOException("no such folder")));

        Assert.Equal((HttpStatusCode.ServiceUnavailable, """{"error":"Connector a: no such folder"}"""), await SendAsync(gateway, HttpMethod.Post));
    }

    [Fact]
    public async Task Anybody_FromElsewhereOrWithAnotherMethod_ReadsNothing()
    {
        var read = 0;
        await using var gateway = await StartAsync(new Shelf("a", () => ++read));

        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(gateway, HttpMethod.Post, ("X-Test-Address", "10.0.0.9"))).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(gateway, HttpMethod.Post, ("Origin", "http://localhost"))).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await SendAsync(gateway, HttpMethod.Get)).Status);
        Assert.Equal(0, read);
    }

    private static Task<GatewayFixture> StartAsync(params IConnector[] connectors) => GatewayFixture.StartAsync(new FixtureOptions { Connectors = connectors });

    private static async Task<(HttpStatusCode Status, string Body)> SendAsync(GatewayFixture gateway, HttpMethod method, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, "/reindex");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await gateway.Http.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private sealed class Shelf(string name, Func<int?> read) : IConnector
    {
        public string Name => name;

        public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel) => await input.CopyToAsync(Stream.Null, cancel);

        public Task<int?> RefreshAsync(CancellationToken cancel) => Task.FromResult(read());
    }
}
