using System.Text.Json.Nodes;
using Mooring.FrontDoor;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Clients of 2026-07-28: they are asked to open the page in the answer to the call, and their retry goes on with it.</content>
public sealed partial class AccountTests
{
    [Theory]
    [InlineData("/servers/one/mcp", "echo")]
    [InlineData("/mcp", "one__echo")]
    public async Task Call_WithoutSessions_NotLinked_IsAskedToOpenThePage_AndTheRetryGoesOn(string path, string tool)
    {
        await StartAsync();
        var client = new StatelessClient(_gateway.Http, path, "ann", Url);

        var asked = await CallAsync(client, tool);

        Assert.Equal("input_required", (string?)asked["result"]!["resultType"]);
        var question = Question(asked);
        Assert.Equal("elicitation/create", (string?)question["method"]);
        Assert.Equal("url", (string?)question["params"]!["mode"]);
        Assert.Contains("one", (string?)question["params"]!["message"], StringComparison.Ordinal);
        Assert.StartsWith("https://gateway.test/connect/acme?ticket=", Page(asked).AbsoluteUri, StringComparison.Ordinal);
        Assert.Null(question["params"]!["elicitationId"]);
        Assert.Equal(0, _server.Executions("echo"));
        Assert.DoesNotContain("?ticket=", _gateway.LogLines.ToString(), StringComparison.Ordinal);

        await LinkAsync(Page(asked));
        var done = await CallAsync(client, tool, asked, "accept");

        Assert.Equal(("nothing", "complete"), (done.Text()!, (string?)done["result"]!["resultType"]));
        Assert.Equal(["Bearer token-1"], _callTokens);
        Assert.Equal(1, _server.Executions("echo"));
        Assert.Equal(0, _gateway.Get<ParkedCalls>().Count);
    }

    [Theory]
    [InlineData("/servers/one/mcp", "echo")]
    [InlineData("/mcp", "one__echo")]
    public async Task Call_WithoutSessions_NotLinked_ClientOpensNone_IsToldTheAddress(string path, string tool)
    {
        await StartAsync();

        var error = (await CallAsync(new StatelessClient(_gateway.Http, path, "ann", """{"elicitation":{"form":{}}}"""), tool))["error"]!;

        AssertTold(error);
        Assert.Equal(0, _server.Executions("echo"));
    }

    [Fact]
    public async Task Retry_WithoutSessions_NotLinkedYet_IsAskedAgain_AndTheOldReferenceIsUsedUp()
    {
        await StartAsync();
        var client = new StatelessClient(_gateway.Http, user: "ann", capabilities: Url);
        var asked = await CallAsync(client, "echo");

        var again = await CallAsync(client, "echo", asked, "accept");

        Assert.Equal("input_required", (string?)again["result"]!["resultType"]);
        Assert.NotEqual((string?)asked["result"]!["requestState"], (string?)again["result"]!["requestState"]);
        Assert.NotNull((await CallAsync(client, "echo", asked, "accept"))["error"]);
    }

    [Theory]
    [InlineData("decline")]
    [InlineData("cancel")]
    public async Task Retry_WithoutSessions_PersonSaidNo_IsNotAskedAgain_AndToldTheAddress(string action)
    {
        await StartAsync();
        var client = new StatelessClient(_gateway.Http, user: "ann", capabilities: Url);

        AssertTold((await CallAsync(client, "echo", await CallAsync(client, "echo"), action))["error"]!);
    }

    [Fact]
    public async Task Call_WithoutSessions_TooManyWait_IsToldTheAddress()
    {
        await StartAsync();
        var config = _gateway.Config.Current;
        _gateway.Config.Replace(config with { Limits = config.Limits with { WaitingCalls = 0 } });

        AssertTold((await CallAsync(new StatelessClient(_gateway.Http, user: "ann", capabilities: Url), "echo"))["error"]!);
    }

    [Fact]
    public async Task List_WithoutSessions_NotLinked_IsToldTheAddress_BecauseNoListMayAskBack()
    {
        await StartAsync();

        AssertTold((await new StatelessClient(_gateway.Http, user: "ann", capabilities: Url).ResultAsync("tools/list"))["error"]!);
    }

    private static void AssertTold(JsonNode error)
    {
        Assert.Equal(-32603, (int)error["code"]!);
        Assert.Contains("Open https://gateway.test/connect/acme?ticket=", (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal(("account_needed", "no"), ((string?)error["data"]!["mooring"]!["reason"], (string?)error["data"]!["mooring"]!["executed"]));
        Assert.Null(error["data"]!["elicitations"]);
    }

    private static JsonNode Question(JsonObject asked) => Assert.Single(asked["result"]!["inputRequests"]!.AsObject()).Value!;

    private static Uri Page(JsonObject asked) => new((string)Question(asked)["params"]!["url"]!);

    private static async Task<JsonObject> CallAsync(StatelessClient client, string tool, JsonObject? asked = null, string action = "")
    {
        var rest = asked is null ? ""
            : $$""","requestState":{{asked["result"]!["requestState"]!.ToJsonString()}},"inputResponses":{{new JsonObject { [asked["result"]!["inputRequests"]!.AsObject().Single().Key] = new JsonObject { ["action"] = action } }.ToJsonString()}}""";
        using var reply = await Limit.Of(client.CallAsync(tool, rest: rest), "the answer");
        return await reply.MessageAsync();
    }
}
