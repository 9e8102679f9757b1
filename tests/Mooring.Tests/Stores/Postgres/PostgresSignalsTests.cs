using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Wake-ups by NOTIFY, on connections that are ended.</summary>
public sealed class PostgresSignalsTests(SharedCluster shared) : SignalContractTests
{
    private PostgresFixture _fixture = null!;

    private protected override async Task<IStoreSignals> CreateAsync()
    {
        _fixture = await PostgresFixture.OnAsync(shared);
        return _fixture.Signals(await _fixture.OpenAsync());
    }

    private protected override async Task CleanUpAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Listen_SessionIsEnded_SaysLostThenCaughtUpAndHearsAgain()
    {
        var heard = new HeardSignals();
        await using var listening = Signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());

        await _fixture.EndSessionsAsync("mooring-listen");

        Assert.Equal("lost", await heard.NextAsync());
        await _fixture.UntilAsync(() => Task.FromResult(heard.Waiting > 0), "it listened again");
        Assert.Equal("caught up", await heard.NextAsync());
        await Signals.PublishAsync("a", "mail", "1");
        Assert.Equal("mail 1", await heard.NextAsync());
        Assert.Contains(_fixture.Log.Lines, line => line.StartsWith("Warning ListeningLost", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Listen_ListenerFails_IsListenedToAgain()
    {
        var caughtUp = 0;
        var heard = new TaskCompletionSource();
        var failing = new SignalListener(
            (_, _) => heard.TrySetResult(),
            () =>
            {
                if (Interlocked.Increment(ref caughtUp) == 1)
                {
                    throw new InvalidOperationException("scripted failure");
                }
            },
            () => { });
        await using var listening = Signals.Listen("a", failing);

        await _fixture.UntilAsync(() => Task.FromResult(Volatile.Read(ref caughtUp) > 1), "it listened again");
        await Signals.PublishAsync("a", "mail", "1");
        await Limit.Of(heard.Task, "the signal");
    }

    [Fact]
    public async Task Listen_PeerVanishesWithoutAWord_SaysLostAndHearsAgain()
    {
        await using var road = new Road(_fixture.Cluster.Port);
        var options = new PostgresStoreOptions
        {
            Connection = _fixture.With(c => c.Port = road.Port),
            ConnectTimeout = TimeSpan.FromSeconds(1),
            CommandTimeout = TimeSpan.FromSeconds(1),
            ListenKeepAlive = TimeSpan.FromSeconds(1),
        };
        await using var signals = _fixture.Signals(await _fixture.OpenAsync(), options);
        var heard = new HeardSignals();
        await using var listening = signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());

        road.Stall();

        Assert.Equal("lost", await heard.NextAsync());
        road.Heal();
        await _fixture.UntilAsync(() => Task.FromResult(heard.Waiting > 0), "it listened again");
        Assert.Equal("caught up", await heard.NextAsync());
        await signals.PublishAsync("a", "mail", "1");
        Assert.Equal("mail 1", await heard.NextAsync());
    }

    /// <summary>The proxy takes LISTEN, and what is signalled goes to whichever of its server sessions ran it, which nobody reads.</summary>
    [Fact]
    public async Task Listen_ThroughAProxyThatPoolsTransactions_IsNotTakenForHearing()
    {
        var options = new PostgresStoreOptions
        {
            Connection = await _fixture.Cluster.ProxiedConnectionToAsync(_fixture.Database),
            ConnectTimeout = TimeSpan.FromSeconds(1),
        };
        await using var signals = _fixture.Signals(await _fixture.OpenAsync(), options);
        var heard = new HeardSignals();
        await using var listening = signals.Listen("a", heard.Listener);

        await _fixture.UntilAsync(
            () => Task.FromResult(_fixture.Log.Lines.Any(line => line.Contains("store.listenConnection", StringComparison.Ordinal))), "the log says what to set", pause: TimeSpan.FromMilliseconds(100));

        Assert.Equal(0, heard.Waiting);
    }

    [Fact]
    public async Task Publish_ByAnotherProcess_IsHeard()
    {
        var heard = new HeardSignals();
        await using var listening = Signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());
        await using var others = _fixture.Signals(await _fixture.OpenAsync());

        await others.PublishAsync("a", "mail", "1");

        Assert.Equal("mail 1", await heard.NextAsync());
    }

    [Fact]
    public async Task Publish_StoreIsAway_IsGivenUpWithoutAFailure()
    {
        await using var fixture = await PostgresFixture.AloneAsync();
        await using var signals = fixture.Signals(await fixture.OpenAsync());
        await fixture.Cluster.StopServerAsync();

        await Limit.Of(signals.PublishAsync("a", "mail", "1"), "the signal to be given up");
    }

    [Fact]
    public async Task Listen_ConnectionOfItsOwn_LeavesThePoolAlone()
    {
        var heard = new HeardSignals();
        var options = _fixture.Options with { ListenConnection = _fixture.With(c => c.ApplicationName = "direct") };
        await using var signals = _fixture.Signals(await _fixture.OpenAsync(), options);
        await using var listening = signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());

        Assert.Equal(1L, await _fixture.AskAsync($"select count(*) from pg_stat_activity where datname = '{_fixture.Database}' and application_name = 'direct-listen'"));
    }
}
