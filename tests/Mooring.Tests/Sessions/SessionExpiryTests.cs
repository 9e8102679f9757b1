using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>
/// When a session that nobody uses ends. The store's record may be behind by as long as a replica takes to tell it of a use; other replicas, on the
/// same store, are played by the test.
/// </summary>
public sealed class SessionExpiryTests
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(5);

    private readonly FakeClock _clock = new();
    private readonly SharedStore _shared;

    public SessionExpiryTests() => _shared = SharedStore.On(_clock);

    [Fact]
    public async Task Record_AsOldAsASessionInUseElsewhereMayHaveIt_IsKeptAndFound()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);
        await PassAsync(gateway, Idle + TimeSpan.FromSeconds(40));

        Assert.NotNull(await FindAsync(client));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Record_NotTouchedForLonger_IsDeletedAndNotFound()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);

        await gateway.PassTimeAsync(GoneAsync(client), Idle + SessionTable.TouchSlack + TimeSpan.FromMinutes(1), "the record is deleted");

        Assert.True(_clock.GetUtcNow() - FakeClock.Start > Idle + SessionTable.TouchSlack);
    }

    [Fact]
    public async Task Record_NotTouched_AnotherReplicaSweeps_IsLeftToItAndWhatIsUsedHereIsStillTold()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);
        var mine = await gateway.ClientAsync();
        var (looked, told) = (0, 0);
        _shared.Store.IsSweptByAnother = true;
        _shared.Store.Before = operation =>
        {
            looked += operation is "FindIdleSessionsAsync" or "ExpireEventsAsync" or "ExpireTasksAsync" or "ExpireAuthAsync" ? 1 : 0;
            told += operation == "TouchSessionsAsync" ? 1 : 0;
            return Task.CompletedTask;
        };

        for (var minutes = 0; minutes < 8; minutes++)
        {
            await mine.ResultAsync("echo");
            await PassAsync(gateway, TimeSpan.FromMinutes(1));
        }

        Assert.Equal(0, looked);
        Assert.InRange(told, 4, 20);
        Assert.NotNull(await FindAsync(client));

        _shared.Store.IsSweptByAnother = false;
        await gateway.PassTimeAsync(GoneAsync(client), TimeSpan.FromMinutes(1), "the record is deleted");
        Assert.NotNull(await FindAsync(mine));
    }

    [Fact]
    public async Task Record_TouchedBetweenTheLookAndTheDeletion_IsKept()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);
        var touched = 0;
        _shared.Store.Before = async operation =>
        {
            if (operation == "DeleteIdleSessionAsync" && touched++ == 0)
            {
                await _shared.Store.TouchSessionsAsync([(client.SessionId!, _clock.GetUtcNow())]);
            }
        };

        await gateway.UntilAsync(() => touched > 0, "it is to be deleted", Idle + TimeSpan.FromMinutes(2));
        await PassAsync(gateway, TimeSpan.FromMinutes(1));

        Assert.NotNull(await FindAsync(client));
    }

    [Fact]
    public async Task Store_AwayForLongerThanSessionsMayBeIdle_ThoseInUseElsewhereAreKept()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);
        var here = await gateway.ClientAsync();
        _shared.Store.IsAway = true;
        await PassAsync(gateway, Idle + TimeSpan.FromMinutes(2));
        _shared.Store.IsAway = false;

        // The other replica finds the store back some seconds later, and tells it of its sessions with its next sweep.
        await PassAsync(gateway, TimeSpan.FromSeconds(40));
        Assert.NotNull(await FindAsync(client));
        Assert.NotNull(await FindAsync(here));
        await _shared.Store.TouchSessionsAsync([(client.SessionId!, _clock.GetUtcNow()), (here.SessionId!, _clock.GetUtcNow())]);
        await PassAsync(gateway, TimeSpan.FromMinutes(2));

        Assert.NotNull(await FindAsync(client));
        Assert.NotNull(await FindAsync(here));
    }

    [Fact]
    public async Task Record_OldBecauseTheStoreWasAway_IsFoundAndNot404()
    {
        await using var gateway = await StartAsync();
        var client = await StoredAsync(gateway);
        _shared.Store.IsAway = true;
        await PassAsync(gateway, Idle + TimeSpan.FromMinutes(2));
        _shared.Store.IsAway = false;

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Use_StoreDidNotTakeIt_IsToldAgain()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        await PassAsync(gateway, TimeSpan.FromMinutes(1));
        await client.ResultAsync("echo");
        var used = _clock.GetUtcNow();
        var failed = 0;
        _shared.Store.Before = operation => operation == "TouchSessionsAsync" && failed++ == 0
            ? Task.FromException(new StoreException("scripted failure"))
            : Task.CompletedTask;

        await gateway.UntilAsync(() => failed > 1, "it is told again", TimeSpan.FromMinutes(2));

        await gateway.PassTimeAsync(SeenAsync(client, used), TimeSpan.FromSeconds(2), "the record knows of the use");
    }

    [Fact]
    public async Task Use_StoreCannotBeToldForLong_IsKeptInMemoryUntilItIsTold()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        await PassAsync(gateway, TimeSpan.FromMinutes(1));
        await client.ResultAsync("echo");
        var used = _clock.GetUtcNow();
        await gateway.Session(client).Links.Open[0].DisposeAsync();
        _shared.Store.IsAway = true;
        await PassAsync(gateway, TimeSpan.FromMinutes(11));

        Assert.Single(gateway.Sessions.All);
        _shared.Store.IsAway = false;
        await gateway.PassTimeAsync(SeenAsync(client, used), TimeSpan.FromMinutes(1), "the store is told");
    }

    [Fact]
    public async Task Call_RunsAndItsClientIsGone_KeepsItsSession()
    {
        await using var gateway = await StartAsync(new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        var (reply, call) = await gateway.StreamedAsync(client);
        await reply.Events.NextAsync();
        var id = (await reply.Events.NextAsync())!.Id!;
        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");

        await PassAsync(gateway, Idle + TimeSpan.FromMinutes(2));
        call.Text("late");

        using var back = await gateway.ListenAsync(client, id);
        Assert.Equal("late", (await back.MessageAsync()).Text());
    }

    [Fact]
    public async Task End_StoreTakesLong_IsAskedForOnce()
    {
        await using var gateway = await StartAsync();
        await gateway.ClientAsync();
        var (never, asked) = (new TaskCompletionSource(), 0);
        _shared.Store.Before = operation =>
        {
            asked += operation == "DeleteIdleSessionAsync" ? 1 : 0;
            return operation == "DeleteIdleSessionAsync" ? never.Task : Task.CompletedTask;
        };

        await gateway.UntilAsync(() => asked > 0, "its end is asked for", Idle + TimeSpan.FromMinutes(2));
        await PassAsync(gateway, TimeSpan.FromSeconds(10));

        Assert.Equal(1, asked);
        never.SetResult();
        await gateway.UntilAsync(() => gateway.Sessions.Count == 0, "it ended", TimeSpan.FromSeconds(5));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SessionOfClientsWithoutAny_EndsAfterTenMinutes_OrWhereAServerKeepsSomethingForItAsAnyOther(bool keeps)
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Clock = _clock, Config = c => c with { Sessions = c.Sessions with { Idle = TimeSpan.FromMinutes(30) } } }, new FakeUpstream { HasSessions = keeps });
        await new StatelessClient(gateway.Http).ResultAsync("tools/call", """{"name":"echo"}""");
        var session = Assert.Single(gateway.Sessions.All);
        await gateway.UntilAsync(() => session.Connections == 0, "the call is over");

        await PassAsync(gateway, TimeSpan.FromMinutes(11));
        Assert.Equal(keeps ? 1 : 0, gateway.Sessions.Count);

        await PassAsync(gateway, TimeSpan.FromMinutes(18));
        Assert.Equal(keeps ? 1 : 0, gateway.Sessions.Count);
        await PassAsync(gateway, TimeSpan.FromMinutes(2));
        Assert.Equal(0, gateway.Sessions.Count);
    }

    private Task<GatewayFixture> StartAsync(FakeUpstream? upstream = null) => GatewayFixture.StartAsync(
        new FixtureOptions
        {
            Clock = _clock,
            Shared = _shared,
            Config = c => c with
            {
                Sessions = c.Sessions with { Idle = Idle },
                Calls = c.Calls with { Deadline = TimeSpan.FromMinutes(30), HardCap = TimeSpan.FromMinutes(30) },
            },
            Server = s => s with { Commit = CommitRule.Fast },
        },
        upstream is null ? [] : [upstream]);

    /// <summary>A session that only the store has, as one does that another replica serves.</summary>
    private static async Task<McpTestClient> StoredAsync(GatewayFixture gateway)
    {
        var client = await gateway.ClientAsync();
        var session = gateway.Session(client);
        gateway.Sessions.Forget(session);
        return client;
    }

    private ValueTask<SessionRecord?> FindAsync(McpTestClient client) => _shared.Store.FindSessionAsync(client.SessionId!, CancellationToken.None);

    private async Task SeenAsync(McpTestClient client, DateTimeOffset used)
    {
        while ((await FindAsync(client))!.LastSeen < used)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), _clock);
        }
    }

    private async Task GoneAsync(McpTestClient client)
    {
        while (await FindAsync(client) is not null)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), _clock);
        }
    }

    private Task PassAsync(GatewayFixture gateway, TimeSpan time) =>
        gateway.PassTimeAsync(Task.Delay(time, _clock), time + TimeSpan.FromSeconds(1), "time passed");
}
