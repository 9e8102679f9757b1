using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>The shared contract through a proxy that pools transactions: whatever is left in a session hits somebody else's.</summary>
public sealed class PostgresProxyTests(SharedCluster shared) : StoreContractTests
{
    private PostgresCluster _cluster = null!;
    private string _database = null!;

    private protected override async Task<IStore> CreateAsync(TimeProvider time)
    {
        _cluster = await shared.GetAsync();
        _database = await _cluster.NewDatabaseAsync();
        return new PostgresStore(
            new PostgresStoreOptions { Connection = await _cluster.ProxiedConnectionToAsync(_database) }, time, NullLogger<PostgresStore>.Instance);
    }

    private protected override Task CleanUpAsync() => _cluster.DropDatabaseAsync(_database);
}

/// <summary>Wake-ups with the listening connection straight to the server, all else through the proxy.</summary>
public sealed class PostgresProxySignalsTests(SharedCluster shared) : SignalContractTests
{
    private PostgresFixture _fixture = null!;

    private protected override async Task<IStoreSignals> CreateAsync()
    {
        _fixture = await PostgresFixture.OnAsync(shared);
        var options = new PostgresStoreOptions
        {
            Connection = await _fixture.Cluster.ProxiedConnectionToAsync(_fixture.Database),
            ListenConnection = _fixture.Options.Connection,
        };
        return _fixture.Signals(await _fixture.OpenAsync(options), options);
    }

    private protected override async Task CleanUpAsync() => await _fixture.DisposeAsync();
}
