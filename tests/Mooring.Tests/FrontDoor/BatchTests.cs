using System.Net;
using System.Text.Json.Nodes;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Batches, which only 2025-03-26 knows.</summary>
public sealed class BatchTests
{
    private const string Echo = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}}""";
    private const string Ping = """{"jsonrpc":"2.0","id":"p","method":"ping"}""";
    private const string Slow = """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow"}}""";
    private const string Note = """{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}""";

    [Fact]
    public async Task Batch_RequestsAndNotifications_AreAnsweredInOneArray()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync("2025-03-26");

        using var reply = await client.PostAsync($"[{Echo},{Note},{Ping}]");

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        var answers = JsonNode.Parse(await reply.BodyAsync())!.AsArray();
        Assert.Equal(["\"p\"", "1"], answers.Select(a => a!["id"]!.ToJsonString()).Order(StringComparer.Ordinal));
        Assert.Single(gateway.Upstream.Messages("notifications/roots/list_changed"));
    }

    [Fact]
    public async Task Batch_OnlyNotifications_IsAccepted()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync("2025-03-26");

        using var reply = await client.PostAsync($"[{Note},{Note}]");

        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
        Assert.Equal("", await reply.BodyAsync());
    }

    [Fact]
    public async Task Batch_PartlyAnsweredInTime_StreamCarriesEveryAnswerOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-03-26");

        var posting = client.PostAsync($"[{Echo},{Slow},{Ping}]");
        var call = await gateway.Upstream.CallAsync();
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "echo is answered");
        gateway.Advance(GatewayFixture.Grace);
        using var reply = await Limit.Of(posting, "the head");
        Assert.True(reply.IsStream);
        call.Text("done");

        var answers = (await reply.Events.RestAsync()).Where(e => e.IsMessage).Select(e => e.Message.RawId()!).ToList();
        Assert.Equal(["\"p\"", "1", "2"], answers.Order(StringComparer.Ordinal));
        Assert.Equal("2", answers[^1]);
    }

    [Fact]
    public async Task Batch_OneCancelled_TheOthersAreAnswered()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-03-26");

        var posting = client.PostAsync($"[{Echo},{Slow}]");
        await gateway.Upstream.CallAsync();
        await client.NotifyAsync("notifications/cancelled", """{"requestId":2}""");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("1", Assert.Single(JsonNode.Parse(await reply.BodyAsync())!.AsArray())!["id"]!.ToJsonString());
    }

    [Fact]
    public async Task Batch_LastOpenOneCancelled_TheAnswersCollectedBeforeAreSent()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-03-26");
        var posting = client.PostAsync($"[{Echo},{Ping},{Slow}]");
        await gateway.Upstream.CallAsync();
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "all but one are answered");

        await client.NotifyAsync("notifications/cancelled", """{"requestId":2}""");

        using var reply = await Limit.Of(posting, "the answer");
        var answers = JsonNode.Parse(await reply.BodyAsync())!.AsArray();
        Assert.Equal(["\"p\"", "1"], answers.Select(a => a!["id"]!.ToJsonString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Batch_LastOpenOneOfAStreamCancelled_TheStreamEndsAfterTheOthersAnswers()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-03-26");
        var posting = client.PostAsync($"[{Echo},{Slow}]");
        await gateway.Upstream.CallAsync();
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "all but one are answered");
        gateway.Advance(GatewayFixture.Grace);
        using var reply = await Limit.Of(posting, "the head");

        await client.NotifyAsync("notifications/cancelled", """{"requestId":2}""");

        var answer = Assert.Single(await reply.Events.RestAsync(), e => e.IsMessage);
        Assert.Equal("1", answer.Message.RawId());
        // The log knows whose answer it is, also where it came before the stream.
        var stream = EventId.TryParse(answer.Id, out var id) ? id.Stream : "";
        var kept = Assert.Single(await gateway.Get<IStore>().ReadEventsAsync(client.SessionId!, stream, 0, 10, CancellationToken.None));
        Assert.Equal("1", kept.RequestId);
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2025-06-18")]
    public async Task Batch_InAVersionWithoutBatches_IsRefused(string version)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(version);

        using var reply = await client.PostAsync($"[{Echo}]");

        Assert.Equal(HttpStatusCode.BadRequest, reply.Status);
        Assert.Equal(-32600, (await reply.MessageAsync()).ErrorCode());
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Batch_InitializeInside_IsRefusedAsAWhole()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync("2025-03-26");

        using var reply = await client.PostAsync(
            "[" + Echo + """,{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}]""");

        Assert.Equal(HttpStatusCode.BadRequest, reply.Status);
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Batch_LargerThanTheLimit_IsRefusedAsAWhole()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Limits = c.Limits with { Batch = 2 } } });
        var client = await gateway.ClientAsync("2025-03-26");

        using var fits = await client.PostAsync($"[{Ping},{Ping}]");
        using var tooMany = await client.PostAsync($"[{Echo},{Ping},{Ping}]");

        Assert.Equal(HttpStatusCode.OK, fits.Status);
        Assert.Equal(HttpStatusCode.BadRequest, tooMany.Status);
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }
}
