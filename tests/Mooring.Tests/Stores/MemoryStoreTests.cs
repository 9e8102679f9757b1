using Mooring.Stores;
using Mooring.Stores.Memory;

namespace Mooring.Tests.Stores;

public sealed class MemoryStoreTests : StoreContractTests
{
    private protected override IStore Create(TimeProvider time) => new MemoryStore(time);
}
