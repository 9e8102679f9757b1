using Mooring.Stores;
using Mooring.Tests.Stores;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Tasks over the end of their process, on the embedded store.</summary>
public sealed class TaskRestartTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-tasks-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Restart_TaskUnderWay_IsFailedAsOutcomeUnknown_AndOneThatWasDoneIsStillThere()
    {
        var upstream = new FakeUpstream().Hold("slow");
        string running, done;
        await using (var gateway = await StartAsync(upstream))
        {
            var client = New(gateway, user: "ann");
            (done, var first) = await gateway.TaskAsync(client);
            await first.SendTextAsync("kept");
            await gateway.UntilTaskAsync(client, done, "completed");
            (running, _) = await gateway.TaskAsync(client);
        }

        await using var next = await StartAsync(upstream);

        var again = New(next, user: "ann");
        var failed = await again.GetTaskAsync(running);
        Assert.Equal(("failed", "outcome_unknown", "one"), ((string)failed["status"]!, (string)failed["error"]!["data"]!["mooring"]!["reason"]!, (string)failed["error"]!["data"]!["mooring"]!["server"]!));
        Assert.Contains("restarted", (string)failed["statusMessage"]!, StringComparison.Ordinal);
        Assert.Equal("kept", (string?)(await again.GetTaskAsync(done))["result"]!["content"]![0]!["text"]);
        Assert.Equal(-32602, (await New(next, user: "bob").ResultAsync("tasks/get", $$"""{"taskId":"{{done}}"}""")).ErrorCode());
        Assert.Equal(2, upstream.Executions("slow"));
    }

    [Fact]
    public async Task Drain_TaskThatDoesNotFinish_IsFailedBeforeTheProcessEnds()
    {
        var upstream = new FakeUpstream().Hold("slow");
        await using var gateway = await StartAsync(upstream);
        var client = New(gateway);
        var (id, _) = await gateway.TaskAsync(client);

        await gateway.PassTimeAsync(gateway.Drain.Begin(evenIfIdle: false), TimeSpan.FromMinutes(1), "the drain is over");

        var record = (await gateway.Get<IStore>().FindHeldTaskAsync(id, TestContext.Current.CancellationToken))!;
        Assert.Equal(HeldTaskStatus.Failed, record.Status);
        Assert.Contains("\"executed\":\"unknown\"", StoreRecords.Text(record.Body), StringComparison.Ordinal);
    }

    private Task<GatewayFixture> StartAsync(FakeUpstream upstream) => GatewayFixture.StartAsync(new FixtureOptions { Directory = _directory }, upstream);
}
