using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>A reply goes to the request that asked, with the id it asked with (invariant 1).</summary>
public sealed class PairingTests
{
    [Fact]
    public async Task Calls_OfTwoClientsAnsweredTheOtherWayRound_EachGetsItsOwn()
    {
        await using var gateway = await StartAsync();
        var a = await gateway.ClientAsync(user: "ann");
        var b = await gateway.ClientAsync(user: "bob");

        // Both use the same id, as clients do.
        var (replyA, callA) = await gateway.StreamedAsync(a, id: "1");
        var (replyB, callB) = await gateway.StreamedAsync(b, id: "1");
        callB.Text("for B");
        callA.Text("for A");

        using (replyA)
        using (replyB)
        {
            Assert.Equal("for A", Assert.Single(await replyA.Events.RestAsync(), e => e.IsMessage).Message.Text());
            Assert.Equal("for B", Assert.Single(await replyB.Events.RestAsync(), e => e.IsMessage).Message.Text());
        }
    }

    /// <summary>A session with a queue of one, as official servers have it, holds up everything behind the first call that takes long.</summary>
    [Fact]
    public async Task Session_ManyCallsUnderWay_NoneKeepsTheNextOneWaiting()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var calls = Enumerable.Range(0, 40).Select(i => client.CallAsync("slow", id: $"{i}")).ToList();
        var taken = new List<UpstreamExchange>();
        for (var i = 0; i < 40; i++)
        {
            taken.Add(await gateway.Upstream.CallAsync());
        }

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        taken.Reverse();
        taken.ForEach(call => call.Text("done"));
        foreach (var (call, id) in calls.Select((call, i) => (call, i)))
        {
            using var reply = await Limit.Of(call, $"the reply to call {id}");
            var answer = await reply.MessageAsync();
            Assert.Equal((id, "done"), ((int)answer["id"]!, answer.Text()));
        }
    }

    [Fact]
    public async Task Call_OtherClientClosesMeanwhile_IsAnswered()
    {
        await using var gateway = await StartAsync();
        var a = await gateway.ClientAsync();
        var b = await gateway.ClientAsync();
        using var listening = await gateway.ListenAsync(b);
        var (reply, call) = await gateway.StreamedAsync(a);

        listening.Dispose();
        (await b.DeleteAsync()).Dispose();
        call.Text("for A");

        using (reply)
        {
            Assert.Equal("for A", (await reply.MessageAsync()).Text());
        }
    }

    [Fact]
    public async Task Call_OtherStreamOfTheSameSession_IsNotToldTheAnswer()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var listening = await gateway.ListenAsync(client);
        var (reply, call) = await gateway.StreamedAsync(client);

        call.Text("mine");
        using (reply)
        {
            Assert.Equal("mine", (await reply.MessageAsync()).Text());
        }

        gateway.Tell(client, "only this");
        Assert.Equal("notifications/message", (string?)(await listening.Events.MessageAsync())["method"]);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("\"1\"")]
    [InlineData("-7")]
    [InlineData("9007199254740991")]
    [InlineData("\"\"")]
    [InlineData("\"a-b_c \\u00e9\"")]
    public async Task Id_OfAnyKind_ComesBackAsItWas(string id)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        using var json = await client.CallAsync("echo", id: id);
        Assert.Contains($"\"id\":{id}", await json.BodyAsync());
        var (stream, call) = await gateway.StreamedAsync(client, id: id);
        using var reply = stream;
        call.Text("x");
        Assert.Contains($"\"id\":{id}", (await reply.Events.EventAsync()).Data);
    }

    [Fact]
    public async Task Id_OneAsNumberAndAsText_AreTwoCallsAtOnce()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (replyNumber, callNumber) = await gateway.StreamedAsync(client, id: "1");
        var (replyText, callText) = await gateway.StreamedAsync(client, id: "\"1\"");
        using var number = replyNumber;
        using var text = replyText;

        await client.NotifyAsync("notifications/cancelled", """{"requestId":"1"}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "one is cancelled");
        callNumber.Text("number");

        var answer = await number.MessageAsync();
        Assert.Equal(("1", "number"), (answer.RawId(), answer.Text()));
        Assert.DoesNotContain(await text.Events.RestAsync(), e => e.IsMessage);
        Assert.False(callText.Response.IsCompleted);
    }

    [Theory]
    [InlineData("\"tok\"")]
    [InlineData("5")]
    public async Task Progress_OfACall_CarriesTheClientsTokenWithItsType(string token)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow", meta: $$"""{"progressToken":{{token}}}""");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(3);
        await call.SendTextAsync("done");

        using var reply = await Limit.Of(posting, "the head");
        Assert.Equal(token, (await reply.MessageAsync())["params"]!["progressToken"]!.ToJsonString());
    }

    [Fact]
    public async Task Answer_WithTheIdOfAnotherRequest_ReachesNobody()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (replyA, callA) = await gateway.StreamedAsync(client, id: "1");
        var (replyB, callB) = await gateway.StreamedAsync(client, id: "2");
        using var a = replyA;
        using var b = replyB;

        callB.Status(System.Net.HttpStatusCode.OK, "{\"jsonrpc\":\"2.0\",\"id\":" + callA.Id + ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"wrong\"}]}}");
        var wrong = await b.MessageAsync();
        callA.Text("right");

        Assert.Equal(("2", "outcome_unknown"), (wrong.RawId(), wrong.Reason()));
        Assert.Equal("right", (await a.MessageAsync()).Text());
    }

    [Fact]
    public async Task Question_OfAServer_IsAnsweredToThatServerAlone()
    {
        await using var gateway = await StartAsync();
        var asked = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var other = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        using var others = await gateway.ListenAsync(other);
        var (stream, call) = await gateway.StreamedAsync(asked);
        using var reply = stream;
        await call.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""");

        var question = await reply.MessageAsync();
        Assert.Equal("elicitation/create", (string?)question["method"]);

        // Somebody else's answer with the same id is nobody's.
        var answer = "{\"jsonrpc\":\"2.0\",\"id\":" + question.RawId() + ",\"result\":{\"action\":\"accept\",\"content\":{}}}";
        (await other.PostAsync(answer)).Dispose();
        Assert.DoesNotContain(gateway.Upstream.Requests, r => r.Message?["result"] is not null);
        (await asked.PostAsync(answer)).Dispose();

        var arrived = Assert.Single(gateway.Upstream.Requests, r => r.Message?["result"] is not null);
        Assert.Equal(("\"q\"", call.Session), (arrived.Message!.RawId(), arrived.Session));
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    private static Task<GatewayFixture> StartAsync() => GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
}
