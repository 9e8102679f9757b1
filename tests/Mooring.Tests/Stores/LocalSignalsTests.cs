using Mooring.Stores;

namespace Mooring.Tests.Stores;

public sealed class LocalSignalsTests : SignalContractTests
{
    private protected override Task<IStoreSignals> CreateAsync() => Task.FromResult<IStoreSignals>(new LocalSignals());
}
