using System.Globalization;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>What a server asks in the middle of a call ends with the call: its client is told, and nothing is left that counts as asked.</summary>
public sealed class UnansweredTests
{
    private const string Elicit = """{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""";

    private const string OfTask = """{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}""";

    [Fact]
    public async Task Call_IsAnsweredWhileItsQuestionIsOpen_ItsClientIsToldBefore_AndALateAnswerGoesNowhere()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var (reply, call) = await gateway.StreamedAsync(client);
        using var stream = reply;
        await call.SendAsync(Elicit);
        var question = await reply.Events.MessageAsync();

        await call.SendTextAsync("done");

        var told = await reply.Events.MessageAsync();
        Assert.Equal(("notifications/cancelled", question.RawId()), ((string?)told["method"], told["params"]!["requestId"]!.ToJsonString()));
        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
        Assert.Equal(0, gateway.Session(client).Questions.Count);
        using var late = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question.RawId()}},"result":{"action":"decline"} }""");
        Assert.DoesNotContain(gateway.Upstream.Requests, e => e.Body.Contains("decline", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Call_IsCancelledOrRunsOutOfTimeWhileItsQuestionIsOpen_NothingIsLeft(bool byClient)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var (reply, call) = await gateway.StreamedAsync(client, id: "7");
        using var stream = reply;
        await call.SendAsync(Elicit);
        await reply.Events.MessageAsync();
        Assert.Equal(1, gateway.Session(client).Questions.Count);

        if (byClient)
        {
            await client.NotifyAsync("notifications/cancelled", """{"requestId":7}""");
        }

        await gateway.UntilAsync(() => gateway.Session(client).Questions.Count == 0, "nobody is asked any more", byClient ? TimeSpan.Zero : TimeSpan.FromMinutes(3));
    }

    [Fact]
    public async Task Questions_OfMoreCallsThanMayBeOpenAtOnce_EachUnanswered_AreAllAsked()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        for (var i = 0; i < 300; i++)
        {
            var calling = client.CallAsync("slow", id: i.ToString(CultureInfo.InvariantCulture));
            var call = await gateway.Upstream.CallAsync();
            await call.SendAsync(Elicit);
            using var reply = await Limit.Of(calling, "the head of the answer");
            Assert.Equal("elicitation/create", (string?)(await reply.Events.MessageAsync())["method"]);
            await call.SendTextAsync("done");
            await reply.Events.RestAsync();
        }
    }

    /// <summary>A server that has one channel for all does not say on whose behalf it asks: the call that is taken for it may be another.</summary>
    [Fact]
    public async Task Question_IsOnlyTakenForTheCalls_OutlivesIt()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var (reply, call) = await gateway.StreamedAsync(client, id: "7");
        using var stream = reply;
        var session = gateway.Session(client);
        Assert.NotNull(session.Questions.Ask(session.Links.Open[0], Frame.Parse(System.Text.Encoding.UTF8.GetBytes(Elicit)), session.FindCall("7"u8), isItsOwn: false, map: null));

        await call.SendTextAsync("done");

        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
        Assert.Equal(1, session.Questions.Count);
    }

    [Fact]
    public async Task Question_OfAServersTask_OutlivesTheRequestOnWhoseStreamItCame()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var (reply, call) = await gateway.StreamedAsync(client);
        using var stream = reply;
        await call.SendAsync(OfTask);
        Assert.Equal("elicitation/create", (string?)(await reply.Events.MessageAsync())["method"]);

        await call.SendTextAsync("done");

        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
        Assert.Equal(1, gateway.Session(client).Questions.Count);
    }

    private static Task<GatewayFixture> StartAsync() => GatewayFixture.StartAsync(
        new FixtureOptions { Config = config => config with { Calls = config.Calls with { HardCap = TimeSpan.FromMinutes(2) } } }, new FakeUpstream().Hold("slow"));
}
