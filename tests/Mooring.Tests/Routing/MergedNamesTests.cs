using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Routing;

public sealed class MergedNamesTests
{
    private static readonly FixtureOptions NoPrefix = new() { Server = s => s with { Prefix = PrefixRule.Never } };

    [Fact]
    public async Task Tools_OfOneName_AreToldApartByTheirServers()
    {
        var (a, b) = (new ListingServer("a"), new ListingServer("b"));
        await using var gateway = await GatewayAsync(null, a, b);
        var client = await gateway.MergedAsync();

        Assert.Equal(["a__x", "b__x"], await client.ListAsync("tools"));
        Assert.Equal("a:x", await client.CallTextAsync("a__x"));
        Assert.Equal("b:x", await client.CallTextAsync("b__x"));
        Assert.Single(a.Exchanges("tools/call"));
        Assert.Single(b.Exchanges("tools/call"));
    }

    [Fact]
    public async Task Prompts_OfOneName_AreToldApartByTheirServers()
    {
        var (a, b) = (new ListingServer("a") { Prompts = Named("p") }, new ListingServer("b") { Prompts = Named("p") });
        await using var gateway = await GatewayAsync(null, a, b);
        var client = await gateway.MergedAsync();

        Assert.Equal(["a__p", "b__p"], await client.ListAsync("prompts"));
        Assert.Equal("b:p", (string?)(await client.AskAsync("prompts/get", """{"name":"b__p"}"""))["result"]!["description"]);
        Assert.Equal("a:p", (string?)(await client.AskAsync("prompts/get", """{"name":"a__p"}"""))["result"]!["description"]);
    }

    [Fact]
    public async Task Tools_WithLongOrIllegalNames_AreShownLegalAndReachTheirServerByTheirOwn()
    {
        var odd = "größe/" + new string('n', 200);
        await using var gateway = await GatewayAsync(null, new ListingServer("a", Named(odd, "a b")), new ListingServer("b", Named(odd)));
        var client = await gateway.MergedAsync();

        var shown = await client.ListAsync("tools");

        Assert.Equal(3, shown.Distinct(StringComparer.Ordinal).Count());
        Assert.All(shown, name => Assert.Matches("^[A-Za-z0-9_.-]{1,128}$", name));
        Assert.Equal("a:" + odd, await client.CallTextAsync(shown[0]));
        Assert.Equal("a:a b", await client.CallTextAsync(shown[1]));
        Assert.Equal("b:" + odd, await client.CallTextAsync(shown[2]));
    }

    [Theory]
    [InlineData("tools/call")]
    [InlineData("prompts/get")]
    public async Task UnknownName_IsInvalidParamsAndReachesNobody(string method)
    {
        var a = new ListingServer("a");
        await using var gateway = await GatewayAsync(null, a, new ListingServer("b"));
        var client = await gateway.MergedAsync();

        Assert.Equal(-32602, (int?)(await client.AskAsync(method, """{"name":"x"}"""))["error"]!["code"]);
        Assert.Empty(a.Exchanges(method));
    }

    [Fact]
    public async Task Tool_NewerThanTheList_FindsItsServerByThePrefix()
    {
        await using var gateway = await GatewayAsync(null, new ListingServer("a"), new ListingServer("a__b"));
        var client = await gateway.MergedAsync();

        Assert.Equal("a:new", await client.CallTextAsync("a__new"));
        Assert.Equal("a__b:new", await client.CallTextAsync("a__b__new"));
    }

    [Fact]
    public async Task Clash_WithoutPrefixes_StaysWithItsHolderAfterARestartThatPutsTheOtherFirst()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-names-").FullName;
        try
        {
            var stored = NoPrefix with { Directory = folder };
            await using (var before = await GatewayAsync(stored, new ListingServer("b")))
            {
                Assert.Equal(["x"], await (await before.MergedAsync()).ListAsync("tools"));
            }

            await using var gateway = await GatewayAsync(stored, new ListingServer("a"), new ListingServer("b"));
            var client = await gateway.MergedAsync();

            Assert.Equal(["a__x", "x"], await client.ListAsync("tools"));
            Assert.Equal("b:x", await client.CallTextAsync("x"));
            Assert.Equal("a:x", await client.CallTextAsync("a__x"));
            Assert.Contains(gateway.LogLines.Lines, line => line.Contains("NameTaken", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Clash_WithoutPrefixes_IsCountedWhileItLasts()
    {
        var (a, b) = (new ListingServer("a"), new ListingServer("b") { Prompts = Named("p") });
        await using var gateway = await GatewayAsync(NoPrefix, a, b);
        Assert.Equal(["x", "b__x"], await (await gateway.MergedAsync()).ListAsync("tools"));

        Assert.Equal(["mooring_names_taken{server=\"a\"} 0", "mooring_names_taken{server=\"b\"} 1"], await gateway.MetricsAsync("mooring_names_taken{"));
        gateway.Config.Replace(gateway.Config.Current with { Servers = [.. gateway.Config.Current.Servers.Where(s => s.Name == "b")] });

        Assert.Equal(["mooring_names_taken{server=\"b\"} 0"], await gateway.MetricsAsync("mooring_names_taken{"));
    }

    [Fact]
    public async Task Clash_HolderTakenOutOfTheConfig_FreesTheName()
    {
        await using var gateway = await GatewayAsync(NoPrefix, new ListingServer("a"), new ListingServer("b"));
        var client = await gateway.MergedAsync();
        Assert.Equal(["x", "b__x"], await client.ListAsync("tools"));

        gateway.Config.Replace(gateway.Config.Current with { Servers = [gateway.Config.Current.Servers[1]] });

        Assert.Equal(["x"], await client.ListAsync("tools"));
        Assert.Equal("b:x", await client.CallTextAsync("x"));
    }

    [Fact]
    public async Task SingleRoute_ShowsNamesAsTheServerSaysThem()
    {
        await using var gateway = await GatewayAsync(null, new ListingServer("a", Named("a b")), new ListingServer("b"));
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");

        Assert.Equal(["a b"], await client.ListAsync("tools"));
        Assert.Equal("a:a b", await client.CallTextAsync("a b"));
    }

    [Fact]
    public async Task Completion_OfAPrompt_GoesToItsServerUnderItsOwnName()
    {
        var (a, b) = (new ListingServer("a") { Prompts = Named("p") }, new ListingServer("b") { Prompts = Named("p") });
        await using var gateway = await GatewayAsync(null, a, b);
        var client = await gateway.MergedAsync();

        var answer = await client.AskAsync("completion/complete", """{"ref":{"type":"ref/prompt","name":"b__p"},"argument":{"name":"q","value":"v"},"context":{"arguments":{"k":"1"}}}""");

        Assert.Equal("b:p", (string?)answer["result"]!["completion"]!["values"]![0]);
        Assert.Equal(["""{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"q","value":"v"},"context":{"arguments":{"k":"1"}}}"""], b.Params("completion/complete"));
        var unknown = await client.AskAsync("completion/complete", """{"ref":{"type":"ref/prompt","name":"no"},"argument":{"name":"q","value":""}}""");
        Assert.Equal(-32602, (int?)unknown["error"]!["code"]);
        Assert.Empty(a.Exchanges("completion/complete"));
    }
}
