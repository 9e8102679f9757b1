using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Replicas;

namespace Mooring.Tests.Replicas;

/// <summary>Two gateways on one store, in front of the same server, on one clock. A client may go to either with the same session.</summary>
internal sealed class ReplicaPair : IAsyncDisposable
{
    private bool _stoppedA;
    private bool _stopped;

    private ReplicaPair(GatewayFixture a, GatewayFixture b, SharedStore store) => (A, B, Store) = (a, b, store);

    /// <summary>The first one's way to the store, which may fail alone.</summary>
    public required FaultyStore StoreOfA { get; init; }

    public GatewayFixture A { get; }

    public GatewayFixture B { get; }

    public SharedStore Store { get; }

    public FakeUpstream Upstream => A.Upstream;

    public static async Task<ReplicaPair> StartAsync(
        FakeUpstream? upstream = null, Func<MooringConfig, MooringConfig>? config = null, Action<IServiceCollection>? services = null)
    {
        var clock = new FakeClock();
        var store = SharedStore.On(clock);
        upstream ??= new FakeUpstream().Hold("slow");
        var options = new FixtureOptions { Clock = clock, Shared = store, Config = config ?? (c => c), Services = services ?? (_ => { }) };
        var ofA = store.Apart();
        var pair = new ReplicaPair(await GatewayFixture.StartAsync(options with { Shared = ofA }, upstream), await GatewayFixture.StartAsync(options, upstream), store)
        {
            StoreOfA = ofA.Store,
        };
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        await pair.UntilAsync(() => a.Others.SequenceEqual([b.Name]) && b.Others.SequenceEqual([a.Name]), "the two know of each other");
        return pair;
    }

    /// <summary>Calls that go to their server at once: the default here is durable, and a durable call is refused as soon as the store is away.</summary>
    public static MooringConfig FastCalls(MooringConfig config) => config with { Servers = [.. config.Servers.Select(s => s with { Commit = CommitRule.Fast })] };

    /// <summary>The same client, with its session, at another gateway.</summary>
    public static McpTestClient At(GatewayFixture gateway, McpTestClient client) =>
        new(gateway.Http, client.Path, client.Version, user: null) { SessionId = client.SessionId };

    /// <summary>Waits until something is so, moving the clock by at most half a minute.</summary>
    public Task UntilAsync(Func<bool> isSo, string what) => A.UntilAsync(isSo, what, TimeSpan.FromSeconds(30));

    /// <summary>Lets time pass, and whatever is due in it happen.</summary>
    public Task PassAsync(TimeSpan time) => A.PassTimeAsync(Task.Delay(time, A.Clock), time + TimeSpan.FromSeconds(1), "time passed");

    public async Task StopAAsync()
    {
        _stoppedA = true;
        await A.DisposeAsync();
    }

    public async Task StopBAsync()
    {
        _stopped = true;
        await B.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stoppedA)
        {
            await A.DisposeAsync();
        }

        if (!_stopped)
        {
            await B.DisposeAsync();
        }
    }
}
