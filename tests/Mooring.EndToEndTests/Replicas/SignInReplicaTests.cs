using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Signing in at two gateways on one store: each step at whichever of them it reaches, as if there were one.</summary>
[Collection(NodeClients.Name)]
public sealed class SignInReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task EveryStep_AtTheOtherReplicaThanTheOneBefore_EndsInTokensThatBothTakeAndBothGiveUp()
    {
        await using var provider = await NodeTool.StartAsync("openid-provider.mjs");
        var address = AddressOf(LoopbackPorts.Take());
        await using var pair = await StartAsync(address, provider);
        using var newcomer = new Newcomer(address);

        await newcomer.RegisterAsync(pair.A);
        var page = await newcomer.AuthorizeAsync(pair.B);
        var back = await newcomer.VisitAsync(page, pair.A, pair.B);
        var consent = await newcomer.NextAsync(pair.A, back);
        var code = await newcomer.AllowAsync(consent, pair.B, pair.A);
        var (status, tokens) = await newcomer.ExchangeAsync(pair.B, code);
        Assert.True(status == HttpStatusCode.OK, tokens.ToJsonString());
        Assert.Equal("at A", await newcomer.CallAsync(pair.A, Access(tokens), "at A"));
        Assert.Equal("at B", await newcomer.CallAsync(pair.B, Access(tokens), "at B"));

        (status, tokens) = await newcomer.RefreshAsync(pair.A, Refresh(tokens));
        Assert.True(status == HttpStatusCode.OK, tokens.ToJsonString());
        Assert.Equal("refreshed", await newcomer.CallAsync(pair.B, Access(tokens), "refreshed"));
        Assert.Equal("refreshed", await newcomer.CallAsync(pair.A, Access(tokens), "refreshed"));

        await newcomer.RevokeAsync(pair.B, Refresh(tokens));
        Assert.Equal("401", await newcomer.CallAsync(pair.B, Access(tokens)));
        // A knows the token, and asks the store again within seconds.
        await Wait.UntilAsync(async () => await newcomer.CallAsync(pair.A, Access(tokens)) == "401", () => "A still takes a token that was revoked at B");
        Assert.Equal(HttpStatusCode.BadRequest, (await newcomer.RefreshAsync(pair.A, Refresh(tokens))).Status);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledWhileSomebodySignsIn_TheSignInGoesOnAtB()
    {
        var address = AddressOf(LoopbackPorts.Take());
        await using var pair = await StartAsync(address, provider: null);
        using var newcomer = new Newcomer(address);
        await newcomer.RegisterAsync(pair.A);
        var page = await newcomer.AuthorizeAsync(pair.A);
        var consent = await newcomer.SignInAsync(page, pair.A, pair.A, "ann", "secret");

        await ReplicaPair.KillAsync(pair.A);

        var code = await newcomer.AllowAsync(consent, pair.B, pair.B);
        var (status, tokens) = await newcomer.ExchangeAsync(pair.B, code);
        Assert.True(status == HttpStatusCode.OK, tokens.ToJsonString());
        Assert.Equal("goes on", await newcomer.CallAsync(pair.B, Access(tokens), "goes on"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task Code_SentToBothAtOnce_WorksAtOneOfThem_AndWhatCameOfItIsRevoked()
    {
        var address = AddressOf(LoopbackPorts.Take());
        await using var pair = await StartAsync(address, provider: null);
        using var newcomer = new Newcomer(address);
        await newcomer.RegisterAsync(pair.A);
        var code = await newcomer.AllowAsync(await newcomer.SignInAsync(await newcomer.AuthorizeAsync(pair.A), pair.B, pair.A, "ann", "secret"), pair.B, pair.A);

        var answers = await Task.WhenAll(newcomer.ExchangeAsync(pair.A, code), newcomer.ExchangeAsync(pair.B, code));

        // Whoever comes second ends what the first was given, be it before the first has its answer.
        Assert.Contains(answers, answer => answer.Status == HttpStatusCode.BadRequest && (string?)answer.Answer["error"] == "invalid_grant");
        Assert.True(answers.Count(answer => answer.Status == HttpStatusCode.OK) <= 1);
        foreach (var (_, tokens) in answers.Where(answer => answer.Status == HttpStatusCode.OK))
        {
            await Wait.UntilAsync(
                async () => await newcomer.CallAsync(pair.A, Access(tokens)) == "401" && await newcomer.CallAsync(pair.B, Access(tokens)) == "401",
                () => "a token whose code was used twice is still taken");
        }
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task OfficialClient_BehindABalancerWithoutStickiness_SignsInCallsAndRefreshes()
    {
        await using var provider = await NodeTool.StartAsync("openid-provider.mjs");
        await using var server = await NodeTool.StartAsync("server.mjs");
        var port = LoopbackPorts.Take();
        await using var pair = await StartAsync(AddressOf(port), provider, server.Url);
        await using var balancer = await Proxy.HaproxyAsync([pair.A, pair.B], idleSeconds: 30, port);

        var run = await NodeTool.RunAsync("sign-in.mjs", ["--client", "client", "--url", balancer.Url("/servers/real/mcp").AbsoluteUri, "--tool", "echo", "--provider", "corp"]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{pair.A.Process.Describe("A said")}\n{pair.B.Process.Describe("B said")}");
    }

    private static Uri AddressOf(int port) => new($"http://127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}");

    private static string Access(JsonObject tokens) => (string)tokens["access_token"]!;

    private static string Refresh(JsonObject tokens) => (string)tokens["refresh_token"]!;

    private Task<ReplicaPair> StartAsync(Uri address, NodeServer? provider, Uri? real = null) => ReplicaPair.StartAsync(database, config =>
    {
        config["publicUrl"] = address.AbsoluteUri;
        if (real is not null)
        {
            config["mcpServers"]!["real"] = GatewayProcess.Remote(real);
        }

        config["auth"] = new JsonObject
        {
            ["mode"] = "oauth",
            ["oauth"] = provider is null
                ? new JsonObject { ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = "secret" } } }
                : new JsonObject
                {
                    ["providers"] = new JsonObject
                    {
                        ["corp"] = new JsonObject { ["issuer"] = provider.Url.GetLeftPart(UriPartial.Authority), ["clientId"] = "gateway", ["clientSecret"] = "s3cret", ["domains"] = "example.com" },
                    },
                },
        };
    });
}
