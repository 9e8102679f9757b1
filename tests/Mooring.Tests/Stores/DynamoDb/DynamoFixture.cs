using Microsoft.Extensions.Logging;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>A table of its own for one test, and the stores opened on it. Its clock moves only while the test waits for something.</summary>
internal sealed class DynamoFixture : IAsyncDisposable
{
    private readonly List<DynamoDbStore> _stores = [];
    private readonly bool _ownsServer;

    private DynamoFixture(DynaliteServer server, bool ownsServer)
    {
        Server = server;
        _ownsServer = ownsServer;
        Options = OptionsFor(server);
    }

    public DynaliteServer Server { get; }

    public FakeClock Clock { get; } = new();

    public FixtureLog Log { get; } = new();

    public DynamoDbStoreOptions Options { get; }

    public static async Task<DynamoFixture> OnAsync(SharedDynalite shared) => new(await shared.GetAsync(), ownsServer: false);

    /// <summary>With a server of its own, to be disturbed at will.</summary>
    public static async Task<DynamoFixture> AloneAsync() => new(await DynaliteServer.StartAsync(keeps: true), ownsServer: true);

    public static DynamoDbStoreOptions OptionsFor(DynaliteServer server) => new()
    {
        Table = $"t-{DynamoValues.NewToken()}",
        Region = "eu-central-1",
        Endpoint = server.Endpoint,
        CreateTable = true,
        // The machine is shared, and the first request loads the SDK.
        RequestTimeout = TimeSpan.FromSeconds(30),
        CreateInterval = TimeSpan.FromMilliseconds(20),
    };

    public DynamoDbStore Make(DynamoDbStoreOptions? options = null)
    {
        var store = new DynamoDbStore(options ?? Options, Clock, new Logger<DynamoDbStore>(new LoggerFactory([Log])));
        _stores.Add(store);
        return store;
    }

    public async Task<DynamoDbStore> OpenAsync(DynamoDbStoreOptions? options = null)
    {
        var store = Make(options);
        var opening = store.OpenAsync(CancellationToken.None);
        await UntilAsync(() => Task.FromResult(opening.IsCompleted), "the store was open");
        await opening;
        return store;
    }

    public DynamoSignals Signals(DynamoDbStore store) => new(store, Clock, new Logger<DynamoSignals>(new LoggerFactory([Log])));

    /// <summary>Waits until something is so, and lets the clock run meanwhile, so that whoever waits for its next try gets it.</summary>
    public async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, $"Waited in vain until {what}.\n{Log}");
            Clock.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    /// <summary>Waits until what may fail meanwhile is done.</summary>
    public async Task<T> UntilDoneAsync<T>(Task<T> work, string what)
    {
        await UntilAsync(() => Task.FromResult(work.IsCompleted), what);
        return await work;
    }

    public Task UntilBackAsync(IStore store) => UntilAsync(
        async () =>
        {
            try
            {
                await store.FindSessionAsync("nobody", CancellationToken.None);
                return true;
            }
            catch (StoreException)
            {
                return false;
            }
        },
        "the store was back");

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        if (_ownsServer)
        {
            await Server.DisposeAsync();
        }
    }
}
