using Mooring.Sessions;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Sessions on their way from the store into memory.</summary>
public sealed class SessionLoadingTests
{
    private FaultyStore _store = null!;

    [Fact]
    public async Task Load_FailsBeforeItsCallerGoesOn_IsTriedAgainByTheNext()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => _store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();
        gateway.Sessions.Forget(gateway.Session(client));
        _store.IsAway = true;

        var away = FindAtOnce(gateway, client.SessionId!);
        Assert.True(away.IsCompletedSuccessfully);
        Assert.Equal(SessionMiss.StoreAway, (await away).Miss);

        _store.IsAway = false;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Load_SucceedsBeforeItsCallerGoesOn_LeavesNoLoadBehind()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => _store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();
        gateway.Sessions.Forget(gateway.Session(client));

        var (first, _) = await FindAtOnce(gateway, client.SessionId!);
        gateway.Sessions.Forget(first!);
        var second = await gateway.Sessions.FindAsync(client.SessionId!, Principal.Anonymous, "one");

        Assert.NotSame(first, second.Session);
        Assert.Same(second.Session, gateway.Session(client));
    }

    /// <summary>Whatever would be left for another thread to do is done before the call returns, as by a thread that is faster than this one.</summary>
    private static Task<(Session? Session, SessionMiss Miss)> FindAtOnce(GatewayFixture gateway, string id)
    {
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(new AtOnce());
        try
        {
            return gateway.Sessions.FindAsync(id, Principal.Anonymous, "one").AsTask();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private sealed class AtOnce : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) => d(state);
    }
}
