using System.Globalization;
using System.Net.Sockets;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Upstreams.Stdio;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>kill -9 of one of two gateways: the other goes on with what it had, and says what nobody can know any more.</summary>
public sealed class ReplicaKilledTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Theory(Timeout = ReplicaPair.TestLimit)]
    [MemberData(nameof(McpClient.Versions), MemberType = typeof(McpClient))]
    public async Task AKilled_ItsSession_GoesOnOnB(string version)
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA, version);
        Assert.Equal("before", await client.CallAsync("echo", "before"));

        await ReplicaPair.KillAsync(pair.A);

        using var other = client.At(pair.AtB);
        Assert.Equal("after", await other.CallAsync("echo", "after"));
        using var stream = await other.OpenAsync();
        pair.Server.Log("heard");
        Assert.Equal("heard", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledDuringACall_ResumedOnB_EndsAsOutcomeUnknown_AndTheSessionGoesOn()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("hold", "kept");
        using var stream = await client.PostForStreamAsync(call);
        var seen = await stream.FirstIdAsync();
        await Wait.UntilAsync(() => pair.Server.Calls("hold") == 1, () => "the call never reached the server");

        await ReplicaPair.KillAsync(pair.A);

        // The wait for the answer is bounded by the stream's limit: two leases and some more.
        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, pair.Server.Calls("hold"));
        Assert.Equal("goes on", await other.CallAsync("echo", "goes on"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledDuringACallWhoseAnswerCanBeResumed_BGoesOnWithIt_AndItIsExecutedOnce()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("keep", "kept");
        using var stream = await client.PostForStreamAsync(call);
        var seen = await stream.FirstIdAsync();
        await Wait.UntilAsync(() => pair.Server.Kept == 1, () => "the call never reached the server");
        pair.Server.LogToKept("1");
        await stream.NotificationAsync("notifications/message");
        await MetricsPage.PlaceKeptAsync(pair.A);

        await ReplicaPair.KillAsync(pair.A);
        pair.Server.LogToKept("2");
        pair.Server.Release();

        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(seen);
        Assert.Equal("1", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal("2", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("kept", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, pair.Server.Calls("keep"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledDuringACallOfALegacyStreamOnB_EndsAsOutcomeUnknownOnIt()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await LegacyClient.ConnectAsync(pair.B.ServerSseUrl("up"));
        client.PostsTo = pair.A.BaseUrl;
        var id = await client.SendAsync("tools/call", LegacyClient.CallParameters("hold", "kept"));
        await Wait.UntilAsync(() => pair.Server.Calls("hold") == 1, () => "the call never reached the server");

        await ReplicaPair.KillAsync(pair.A);

        var answer = await client.Stream.AnswerAsync(id);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(1, pair.Server.Calls("hold"));
        client.PostsTo = null;
        Assert.Equal("goes on", (string?)(await client.CallAsync("echo", "goes on"))["result"]?["content"]?[0]?["text"]);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task EventsMissedOnA_Killed_AreReplayedByB()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        await client.CallAsync("echo", "opens the link");
        using var stream = await client.OpenAsync();
        pair.Server.Log("one");
        pair.Server.Log("two");
        Assert.Equal("one", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        var seen = stream.LastEventId;
        await stream.NotificationAsync("notifications/message");

        await ReplicaPair.KillAsync(pair.A);

        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(seen);
        Assert.Equal("two", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        await other.CallAsync("echo", "opens the link again");
        pair.Server.Log("three");
        Assert.Equal("three", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ProcessOfASession_CallsThroughBoth_ReachTheSameOne()
    {
        await using var pair = await ReplicaPair.StartAsync(database, withLocal: true);
        using var client = await McpClient.ConnectAsync(pair.LocalAtA);
        using var other = client.At(pair.LocalAtB);

        var process = await client.CallAsync("pid");

        Assert.Equal(process, await other.CallAsync("pid"));
        Assert.Equal(process, await client.CallAsync("pid"));
        using var second = await McpClient.ConnectAsync(pair.LocalAtB);
        Assert.NotEqual(process, await second.CallAsync("pid"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ReplicaOfAProcessKilled_ItsCallsAreUnknown_AndTheNextOneStartsAnother()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var pair = await ReplicaPair.StartAsync(database, withLocal: true);
        using var client = await McpClient.ConnectAsync(pair.LocalAtA);
        var process = await client.CallAsync("pid");
        using var other = client.At(pair.LocalAtB);
        Assert.Equal(process, await other.CallAsync("pid"));
        var call = other.ToolCall("hold");
        using var stream = await other.PostForStreamAsync(call);
        await stream.FirstIdAsync();

        await ReplicaPair.KillAsync(pair.A);

        var answer = await stream.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        var next = await other.CallAsync("pid");
        Assert.NotEqual(process, next);
        Assert.Equal(next, await other.CallAsync("pid"));
        var id = int.Parse(process, CultureInfo.InvariantCulture);
        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(id), () => $"process {id} outlives its gateway");
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AStopsInOrderDuringACall_ResumedOnB_IsAnswered()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("hold", "finished");
        using var stream = await client.PostForStreamAsync(call);
        await stream.FirstIdAsync();
        await Wait.UntilAsync(() => pair.Server.Calls("hold") == 1, () => "the call never reached the server");

        pair.A.Signal(15);
        Assert.Empty(await stream.RestAsync());
        // A balancer that asks nobody whether it is ready is sent on by that.
        using (var late = new TcpClient())
        {
            var refused = await Assert.ThrowsAsync<SocketException>(async () => await late.ConnectAsync(pair.AtA.Host, pair.AtA.Port, TestContext.Current.CancellationToken));
            Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        }

        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(stream.LastEventId);
        pair.Server.Release();

        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("finished", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal(1, pair.Server.Calls("hold"));
        var exit = await pair.A.Process.ExitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.True(exit == 0, pair.A.Process.Describe($"ended with {exit}"));
    }
}
