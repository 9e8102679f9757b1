using Mooring.Stores;
using Mooring.Stores.Memory;

namespace Mooring.Tests.Stores;

public sealed class MemoryStoreTests : StoreContractTests
{
    private protected override Task<IStore> CreateAsync(TimeProvider time) => Task.FromResult<IStore>(new MemoryStore(time));
}
