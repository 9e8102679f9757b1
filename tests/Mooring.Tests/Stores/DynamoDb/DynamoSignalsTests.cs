using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>The shared contract of wake-ups over a table.</summary>
public sealed class DynamoSignalsTests(SharedDynalite shared) : SignalContractTests
{
    private DynamoDbStore _store = null!;

    [Fact]
    public void Pace_LooksInVain_SlowsDownToTwoSecondsAndIsBackAfterTraffic()
    {
        var pace = new DynamoPace(new Random(1));
        var pauses = new List<double>();
        for (var look = 0; look < 12; look++)
        {
            pauses.Add(pace.Next().TotalSeconds);
            pace.InVain();
        }

        pace.Traffic();

        Assert.InRange(pauses[0], 0.18, 0.2);
        Assert.All(pauses, pause => Assert.InRange(pause, 0.18, 2));
        Assert.InRange(pauses[^1], 1.8, 2);
        Assert.Equal(pauses.Take(6).Order(), pauses.Take(6));
        Assert.InRange(pace.Next().TotalSeconds, 0.18, 0.2);
    }

    private protected override async Task<IStoreSignals> CreateAsync()
    {
        _store = new DynamoDbStore(DynamoFixture.OptionsFor(await shared.GetAsync()), TimeProvider.System, NullLogger<DynamoDbStore>.Instance);
        await _store.OpenAsync(CancellationToken.None);
        return new DynamoSignals(_store, TimeProvider.System, NullLogger<DynamoSignals>.Instance);
    }

    private protected override async Task CleanUpAsync() => await _store.DisposeAsync();
}
