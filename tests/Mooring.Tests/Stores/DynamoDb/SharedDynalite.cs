using Mooring.Tests.Stores.DynamoDb;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedDynalite))]

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>The one DynamoDB server of a test run, started by the first test that wants it, ended with the run.</summary>
public sealed class SharedDynalite : IAsyncDisposable
{
    private readonly Lazy<Task<DynaliteServer>> _server = new(() => DynaliteServer.StartAsync());

    public async ValueTask DisposeAsync()
    {
        if (_server.IsValueCreated)
        {
            await (await _server.Value).DisposeAsync();
        }
    }

    internal Task<DynaliteServer> GetAsync() => _server.Value;
}
