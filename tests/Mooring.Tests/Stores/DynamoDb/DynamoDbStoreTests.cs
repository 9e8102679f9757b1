using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>The shared contract on a real DynamoDB protocol server.</summary>
public sealed class DynamoDbStoreTests(SharedDynalite shared) : StoreContractTests
{
    private protected override async Task<IStore> CreateAsync(TimeProvider time)
    {
        var options = DynamoFixture.OptionsFor(await shared.GetAsync());
        // The table is made by the machine's clock: nobody moves the test's meanwhile.
        await using (var maker = new DynamoDbStore(options, TimeProvider.System, NullLogger<DynamoDbStore>.Instance))
        {
            await maker.OpenAsync(CancellationToken.None);
        }

        return new DynamoDbStore(options with { CreateTable = false }, time, NullLogger<DynamoDbStore>.Instance);
    }
}
