using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Tests.Replicas;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>Progress that the gateway makes up for clients with little patience: only for those that asked for progress, until the server has a word of its own, and never kept.</summary>
public sealed class MadeProgressTests
{
    private static readonly TimeSpan Every = new CallsConfig().ProgressEvery;

    [Theory]
    [InlineData("2024-11-05")]
    [InlineData("2025-03-26")]
    [InlineData("2025-06-18")]
    [InlineData("2025-11-25")]
    public async Task Call_ServerIsSilent_ItsClientHearsOfItUntilTheServerReportsItself(string version)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(version);
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        gateway.Advance(Every);
        var first = await reply.Events.EventAsync();
        Assert.Null(first.Id);
        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":0.000001}}""", first.Data);
        gateway.Advance(Every);
        Assert.Equal(0.000002, (double)(await reply.Events.MessageAsync())["params"]!["progress"]!);
        await call.ProgressAsync(1);
        Assert.Equal(1, (int)(await reply.Events.MessageAsync())["params"]!["progress"]!);
        gateway.Advance(Every * 3);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
    }

    [Fact]
    public async Task Call_OverHttpAndSse_HearsOfItOnItsStream()
    {
        await using var gateway = await StartAsync();
        var client = gateway.NewClient("2024-11-05", "/servers/one/sse");
        using var stream = await Limit.Of(client.GetAsync(), "the stream");
        var endpoint = gateway.NewClient("2024-11-05", "/servers/one/" + (await stream.Events.EventAsync()).Data);
        using var hello = await endpoint.PostAsync("""{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""");
        await stream.Events.MessageAsync();
        using var posted = await endpoint.CallAsync("slow", meta: """{"progressToken":"t"}""");
        await gateway.Upstream.CallAsync();

        gateway.Advance(Every + TimeSpan.FromSeconds(1));

        Assert.Equal("t", (string?)(await stream.Events.MessageAsync())["params"]!["progressToken"]);
    }

    [Fact]
    public async Task Call_WithoutSessions_HearsOfItUnderItsToken()
    {
        await using var gateway = await StartAsync();
        var posting = new StatelessClient(gateway.Http).CallAsync("slow", meta: """{"progressToken":"t"}""");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        gateway.Advance(Every);

        Assert.Equal("t", (string?)(await reply.Events.MessageAsync())["params"]!["progressToken"]);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Call_ThatAskedForNone_OrSwitchedOff_HearsNothing(bool hasToken, bool isOn)
    {
        await using var gateway = await StartAsync(isOn ? Every : TimeSpan.Zero);
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: hasToken ? """{"progressToken":7}""" : null);
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        gateway.Advance(Every * 4);
        await call.SendTextAsync("done");

        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
    }

    [Fact]
    public async Task ServersValue_NotAboveWhatWasMadeUp_IsDropped_AndEndsItAllTheSame()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");
        gateway.Advance(Every);
        await reply.Events.MessageAsync();

        await call.ProgressAsync(0);
        await call.ProgressAsync(1);
        Assert.Equal(1, (int)(await reply.Events.MessageAsync())["params"]!["progress"]!);
        gateway.Advance(Every * 2);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
    }

    [Fact]
    public async Task ServersValue_BeforeAnythingWasMadeUp_PassesWhateverItIs()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(0);
        using var reply = await Limit.Of(posting, "the head of the answer");

        Assert.Equal(0, (int)(await reply.Events.MessageAsync())["params"]!["progress"]!);
        gateway.Advance(Every * 2);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.Events.MessageAsync()).Text());
    }

    [Fact]
    public async Task MadeUp_IsInNoLog_AndGoesToWhoeverListensNow()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await gateway.Upstream.CallAsync();
        var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");
        var primer = await reply.Events.NextAsync();
        while (primer!.Id is null)
        {
            primer = await reply.Events.NextAsync();
        }

        gateway.Advance(Every);
        await reply.Events.MessageAsync();
        var connection = gateway.Streams.Count;
        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count < connection, "the client is gone");
        gateway.Advance(Every * 2);

        // Nothing of before, and from here on what is made up now; of what nobody saw no number was used.
        using var resumed = await gateway.ListenAsync(client, lastEventId: primer.Id);
        gateway.Advance(Every);
        Assert.Equal(0.000002, (double)(await resumed.Events.MessageAsync())["params"]!["progress"]!);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await resumed.Events.MessageAsync()).Text());
    }

    [Fact]
    public async Task Deadline_RunsOnWhileProgressIsMadeUp()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");

        gateway.Advance(new CallsConfig().Deadline + TimeSpan.FromSeconds(2));

        JsonObject message;
        while ((message = await reply.Events.MessageAsync())["method"] is not null)
        {
            // What was made up meanwhile.
        }

        Assert.Equal("timed_out", message.Reason());
    }

    [Fact]
    public async Task CallOfAnother_IsToldByALetterThatIsNotKept()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync("asking", "", TimeSpan.FromHours(1));
        var name = pair.B.Get<Peers>().Name;
        var request = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{},"_meta":{"progressToken":7}}}"""u8.ToArray();

        await pair.Store.Replicas.PostAsync(name, "call", "1", new Letter(client.SessionId!, $"asking key {name}", request).ToBytes());
        await pair.UntilAsync(() => pair.Upstream.HasCall, "it runs");
        IReadOnlyList<MailRecord> mails = [];
        await pair.UntilAsync(() => (mails = pair.Store.Replicas.ReadMailboxAsync("asking", 0, 10, CancellationToken.None).Result).Count > 0, "something is said");

        Assert.Equal("shown", mails[0].Kind);
        Assert.True(Letter.TryParse(mails[0].Body, out var letter));
        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":0.000001}}""", System.Text.Encoding.UTF8.GetString(letter.Body.Span));
    }

    private static Task<GatewayFixture> StartAsync(TimeSpan? every = null) => GatewayFixture.StartAsync(
        new FixtureOptions { Config = c => c with { Calls = c.Calls with { ProgressEvery = every ?? Every } } }, new FakeUpstream().Hold("slow"));
}
