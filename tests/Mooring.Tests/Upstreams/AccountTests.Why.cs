using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Whoever has to connect an account again is told why.</content>
public sealed partial class AccountTests
{
    [Fact]
    public async Task Call_ProviderDoesNotRenewTheToken_SaysSo_ThenAndLater_AndInTheLog()
    {
        const string why = "your account has to be connected again (the provider does not renew its token: invalid_grant).";
        var client = await LinkedAsync();
        RefuseCalls(HttpStatusCode.Unauthorized, "Bearer");
        _authorization.Answers["https://acme.test/token"] = () => FakeAuthorizationServer.Json(HttpStatusCode.BadRequest, new JsonObject { ["error"] = "invalid_grant", ["error_description"] = "of again" });

        // The first finds it out, the second finds it in the store.
        for (var call = 0; call < 2; call++)
        {
            var error = (await client.ResultAsync("echo"))["error"]!;
            Assert.Equal((-32042, $"Server \"one\" cannot be used yet: {why}"), ((int)error["code"]!, (string?)error["message"]));
            Assert.Equal($"Connect your account for \"one\": {why}", (string?)error["data"]!["elicitations"]![0]!["message"]);
        }

        Assert.Contains(_gateway.LogLines.Lines, line => line.Contains(why[..^1], StringComparison.Ordinal));
        Assert.DoesNotContain("of again", _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_ServerTakesNoToken_SaysSo()
    {
        var client = await LinkedAsync();
        RefuseCalls(HttpStatusCode.Unauthorized, "Bearer");

        Assert.EndsWith("again (the server takes neither its token nor a renewed one).", await MessageAsync(client), StringComparison.Ordinal);
        Assert.EndsWith("again (the server took neither its token nor the one before).", await MessageAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_ServerWantsMoreThanTheTokenAllows_SaysSo()
    {
        var client = await LinkedAsync();
        RefuseCalls(HttpStatusCode.Forbidden, "Bearer error=\"insufficient_scope\"");

        Assert.EndsWith("again (the server wants more than its token allows).", await MessageAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_ServerWantsWhatTheProviderIsNotAskedFor_SaysWhichScopeAndWhere()
    {
        var client = await LinkedAsync();
        RefuseCalls(HttpStatusCode.Forbidden, "Bearer error=\"insufficient_scope\", scope=\"read more\"");

        Assert.Contains("the scope more, which the gateway does not ask for; whoever runs the gateway can add it to providers.acme.scopes", await MessageAsync(client), StringComparison.Ordinal);
    }

    /// <summary>Calls alone, with whatever token: what else is under way would have it renewed first.</summary>
    private void RefuseCalls(HttpStatusCode status, string challenge)
    {
        _good.Add("Bearer token-2");
        var before = _server.Intercept!;
        _server.Intercept = exchange =>
        {
            if ((string?)exchange.Message?["method"] != "tools/call")
            {
                return before(exchange);
            }

            exchange.Refuse(status, challenge);
            return true;
        };
    }

    private async Task<McpTestClient> LinkedAsync()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(client));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        return client;
    }

    private static async Task<string> MessageAsync(McpTestClient client) => (string)(await client.ResultAsync("echo"))["error"]!["message"]!;
}
