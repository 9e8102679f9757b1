using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <content>What a link remembers: the pages of lists, and the resources that somebody waits for.</content>
public sealed partial class ListeningTests
{
    [Theory]
    [InlineData("slow", false)]
    [InlineData("new", true)]
    public async Task Stream_BreaksAndCursorsAreNeverTheSame_IsToldWhereAPageIsAnother(string tool, bool isTold)
    {
        var (cursors, pages) = (0, 0);
        var second = "slow";
        await using var gateway = await Servers.StartAsync(intercept: e =>
        {
            if ((string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            var isFirst = e.Message["params"]?["cursor"] is null;
            e.Result(isFirst
                ? $$$"""{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],"nextCursor":"c{{{Interlocked.Increment(ref cursors)}}}"}"""
                : $$$"""{"resultType":"complete","tools":[{"name":"{{{second}}}","inputSchema":{"type":"object"}}]}""");
            _ = isFirst ? 0 : Interlocked.Increment(ref pages);
            return true;
        });
        var (_, events, listen) = await ListeningAsync(gateway);
        await gateway.UntilAsync(() => Volatile.Read(ref pages) >= 2, "both pages are read on both links");
        // Or twice on the one, and the other is about to.
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(1), gateway.Clock), TimeSpan.FromSeconds(2), "whoever reads them has");
        var lists = gateway.Upstream.Messages("resources/templates/list").Count;

        second = tool;
        listen.Cut();
        var again = await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "the next one");
        await again.AcknowledgeAsync();
        await gateway.UntilAsync(() => gateway.Upstream.Messages("resources/templates/list").Count > lists, "it has looked");
        await again.TellAsync("notifications/prompts/list_changed");

        Assert.Equal(isTold ? "notifications/tools/list_changed" : "notifications/prompts/list_changed", (string?)(await events.MessageAsync())["method"]);
    }

    [Fact]
    public async Task Subscription_AcknowledgedLaterThanItsClientWaits_IsListenedForNoMore()
    {
        await using var gateway = await Servers.StartAsync();
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync();
        var client = new StatelessClient(gateway.Http);
        await client.ResultAsync("tools/call", """{"name":"echo"}""");
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync();

        using var reply = await Limit.Of(client.RequestAsync("subscriptions/listen", $$$"""{"notifications":{"resourceSubscriptions":["{{{Uri}}}"]}}"""), "the head");
        var asked = await Servers.Of(gateway).ListenAsync();
        Assert.Contains(Uri, Filter(asked), StringComparison.Ordinal);
        var acknowledged = await gateway.PassTimeAsync(reply.Events.MessageAsync(), TimeSpan.FromSeconds(4), "what is honoured");
        Assert.Equal("{}", acknowledged["params"]!["notifications"]!.ToJsonString());
        await asked.AcknowledgeAsync();

        Assert.DoesNotContain(Uri, Filter(await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "the next one")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Subscription_OneOfTwoWhoWaitForItCancels_TheOtherHasIt()
    {
        await using var gateway = await Servers.StartAsync(Only);
        var (one, two) = (await gateway.ClientAsync(), await gateway.ClientAsync());
        await one.ResultAsync("echo");
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync();
        var first = one.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""", id: "5");
        var asked = await Servers.Of(gateway).ListenAsync();
        var second = two.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 2, "both wait");

        await one.NotifyAsync("notifications/cancelled", """{"requestId":5}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "one waits");
        Assert.False(second.IsCompleted);
        await asked.AcknowledgeAsync();

        using var reply = await Limit.Of(second, "the answer");
        Assert.NotNull((await reply.MessageAsync())["result"]);
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(2), gateway.Clock), TimeSpan.FromSeconds(3), "the one before is left");
        Assert.False(Servers.Of(gateway).HasListen);
        _ = first;
    }
}
