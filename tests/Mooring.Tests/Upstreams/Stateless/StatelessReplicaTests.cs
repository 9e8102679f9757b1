using Mooring.Tests.Replicas;
using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <summary>One session at two replicas, in front of a server that has none: one of them listens, and both say what the client wants.</summary>
public sealed class StatelessReplicaTests
{
    private const string Uri = "test://one/a";

    [Fact]
    public async Task Wishes_SetAtOneReplica_HoldAtTheOther()
    {
        var (pair, server) = await StartAsync();
        await using var _ = pair;
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await client.ResultAsync("echo");
        await there.ResultAsync("echo");
        await pair.UntilAsync(() => pair.A.Session(client).Links.Open[0].Listens, "the first listens");
        Assert.False(pair.B.Session(client).Links.Open[0].Listens);

        using var level = await there.RequestAsync("logging/setLevel", """{"level":"error"}""");
        using var subscribed = await there.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        Assert.NotNull((await subscribed.MessageAsync())["result"]);
        await pair.UntilAsync(() => pair.Upstream.Messages("subscriptions/listen").Any(m => m.ToJsonString().Contains(Uri, StringComparison.Ordinal)), "it is listened for");

        var posting = client.CallAsync("slow");
        var call = await pair.A.PassTimeAsync(server.CallAsync(), TimeSpan.FromSeconds(5), "the call");
        call.Text("done");
        await posting;
        Assert.Equal("error", (string?)call.Meta("logLevel"));

        using var back = await there.RequestAsync("resources/unsubscribe", $$"""{"uri":"{{Uri}}"}""");
        await pair.UntilAsync(() => !pair.Upstream.Messages("subscriptions/listen")[^1].ToJsonString().Contains(Uri, StringComparison.Ordinal), "it is listened for no more");
    }

    [Fact]
    public async Task Listener_IsGone_TheOtherListensAndLooksForWhatWasMissed()
    {
        var (pair, server) = await StartAsync();
        await using var _ = pair;
        var there = await pair.B.ClientAsync();
        var client = ReplicaPair.At(pair.A, there);
        await there.ResultAsync("echo");
        await client.ResultAsync("echo");
        await pair.UntilAsync(() => pair.B.Session(client).Links.Open[0].Listens && pair.Upstream.Messages("resources/templates/list").Count >= 4, "all is read");
        using var stream = await pair.A.ListenAsync(client);

        await pair.StopBAsync();
        server.Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";

        var told = stream.Events.MessageAsync();
        Assert.Equal("notifications/tools/list_changed", (string?)(await pair.A.PassTimeAsync(told, TimeSpan.FromMinutes(1), "the change"))["method"]);
    }

    private static async Task<(ReplicaPair Pair, StatelessUpstream Server)> StartAsync()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        server.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "subscriptions/listen")
            {
                return false;
            }

            // Nobody waits for it: a pipe takes all of it.
            _ = e.AcknowledgeAsync();
            return true;
        };
        return (await ReplicaPair.StartAsync(fake, ReplicaPair.FastCalls), server);
    }
}
