using Mooring.Tests;

namespace Mooring.Chaos.Stands;

/// <summary>One cluster for all short rounds, each with a database of its own; made when first asked for. The run makes and disposes it.</summary>
internal sealed class SharedPostgres : IAsyncDisposable
{
    private readonly Lazy<Task<PostgresCluster>> _cluster = new(PostgresCluster.StartAsync);

    public Task<PostgresCluster> Cluster => _cluster.Value;

    public async ValueTask DisposeAsync()
    {
        if (_cluster.IsValueCreated)
        {
            await (await _cluster.Value).DisposeAsync();
        }
    }
}
