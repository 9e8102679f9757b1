using System.Net;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>The store fails while a code or a refresh token is exchanged: nobody is logged out by that.</summary>
public sealed class GrantTroubleTests
{
    private FaultyStore _store = null!;

    [Theory]
    [InlineData("AddAuthAsync AccessToken")]
    [InlineData("ExtendAuthAsync")]
    [InlineData("AddAuthAsync RefreshToken")]
    [InlineData("UseAuthAsync RefreshToken")]
    public async Task Refresh_StoreFailsOnTheWay_TheSameTokenWorksWhenItIsTriedAgain(string operation)
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var failed = FailOnce(operation);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.RefreshAsync(refresh)).Status);
        var (status, next) = await client.RefreshAsync(refresh);

        Assert.True(failed.IsCompleted, operation);
        Assert.True(status == HttpStatusCode.OK, next.ToJsonString());
        Assert.Equal(HttpStatusCode.OK, await (await gateway.ClientWithAsync(access)).TryAsync());
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync((string)next["refresh_token"]!)).Status);
    }

    [Theory]
    [InlineData("AddAuthAsync AccessToken")]
    [InlineData("AddAuthAsync RefreshToken")]
    [InlineData("UseAuthAsync Code")]
    public async Task Code_StoreFailsOnTheWay_TheSameCodeWorksWhenItIsTriedAgain(string operation)
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;
        var failed = FailOnce(operation);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.ExchangeAsync(code)).Status);
        var (status, json) = await client.ExchangeAsync(code);

        Assert.True(failed.IsCompleted, operation);
        Assert.True(status == HttpStatusCode.OK, json.ToJsonString());
        await gateway.ClientWithAsync((string)json["access_token"]!);
    }

    [Fact]
    public async Task Refresh_AnotherIsFirstBetweenLookAndUse_IsASecondUse_AndNothingWorksAnyMore()
    {
        await using var gateway = await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var isFirst = true;
        (HttpStatusCode Status, System.Text.Json.Nodes.JsonObject Json) other = default;
        _store.Before = async operation =>
        {
            if (operation == "UseAuthAsync RefreshToken" && isFirst)
            {
                isFirst = false;
                other = await client.RefreshAsync(refresh);
            }
        };

        var (status, json) = await client.RefreshAsync(refresh);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.BadRequest), (other.Status, status));
        Assert.Equal("invalid_grant", (string?)json["error"]);
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync((string)other.Json!["refresh_token"]!)).Status);
        foreach (var token in new[] { access, (string)other.Json!["access_token"]! })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", token)).Status);
        }
    }

    private Task<GatewayFixture> StartAsync() => SignInFixture.StartAsync(options: new FixtureOptions { Store = clock => _store = new FaultyStore(clock) });

    /// <returns>Over once it has failed.</returns>
    private Task FailOnce(string wanted)
    {
        var failed = new TaskCompletionSource();
        _store.Before = operation => operation == wanted && failed.TrySetResult() ? throw new StoreException("scripted failure") : Task.CompletedTask;
        return failed.Task;
    }
}
