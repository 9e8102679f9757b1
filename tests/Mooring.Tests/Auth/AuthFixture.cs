using System.Net;
using System.Net.Http.Headers;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Tests.Auth;

/// <summary>Gateways that want to know who comes in, and requests to them.</summary>
internal static class AuthFixture
{
    public static Task<GatewayFixture> StartAsync(AuthConfig auth, FixtureOptions? options = null, Func<MooringConfig, MooringConfig>? config = null, params FakeUpstream[] upstreams)
    {
        options ??= new FixtureOptions();
        var before = options.Config;
        return GatewayFixture.StartAsync(options with { Config = c => (config ?? (same => same))(before(c)) with { Auth = auth } }, upstreams);
    }

    public static AuthConfig Keys { get; } = new() { Mode = [AuthMode.ApiKey] };

    /// <summary>A key as the command makes it.</summary>
    public static async Task<string> KeyAsync(this GatewayFixture gateway, string user = "ann", TimeSpan? lifetime = null, params string[] scopes) =>
        (await new ApiKeys(gateway.Get<IAuthStore>(), gateway.Clock).CreateAsync(user, null, scopes.Length == 0 ? [Scopes.Use] : scopes, [], lifetime)).Secret;

    public static McpTestClient With(this McpTestClient client, string token)
    {
        client.Token = token;
        return client;
    }

    /// <summary>A client that has said hello with a token.</summary>
    public static async Task<McpTestClient> ClientWithAsync(this GatewayFixture gateway, string token, string version = "2025-11-25", string path = "/servers/one/mcp")
    {
        var client = gateway.NewClient(version, path).With(token);
        await client.InitializeAsync();
        return client;
    }

    public static async Task<(HttpStatusCode Status, string Body, HttpResponseHeaders Headers)> SendAsync(
        this GatewayFixture gateway, HttpMethod method, string path, string? token = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await Limit.Of(gateway.Http.SendAsync(request), $"an answer of {path}");
        return (response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers);
    }

    /// <summary>A ping with a token, as a measure of whether it works.</summary>
    public static async Task<HttpStatusCode> TryAsync(this McpTestClient client)
    {
        using var reply = await Limit.Of(client.RequestAsync("ping"), "an answer to a ping");
        return reply.Status;
    }
}
