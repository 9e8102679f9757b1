using Mooring.Tests.Stores.Postgres;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedCluster))]

namespace Mooring.Tests.Stores.Postgres;

/// <summary>The one PostgreSQL of a test run, started by the first test that wants it, ended with the run.</summary>
public sealed class SharedCluster : IAsyncDisposable
{
    private readonly Lazy<Task<PostgresCluster>> _cluster = new(PostgresCluster.StartAsync);

    public async ValueTask DisposeAsync()
    {
        if (_cluster.IsValueCreated)
        {
            await (await _cluster.Value).DisposeAsync();
        }
    }

    internal Task<PostgresCluster> GetAsync() => _cluster.Value;
}
