using Mooring.Chaos.Clients;
using Xunit;

namespace Mooring.Tests.Chaos;

public sealed class FaultTimesTests
{
    private readonly FakeClock _clock = new();

    [Fact]
    public void Since_OfACall_IsWhatItSharesWithFaultsAndNoMore()
    {
        var faults = new FaultTimes(_clock);
        var early = _clock.GetTimestamp();
        Pass(3);
        using (faults.Begin())
        {
            Pass(4);
            var within = _clock.GetTimestamp();
            Pass(6);
            Assert.Equal(TimeSpan.FromSeconds(10), faults.Since(early));
            Assert.Equal(TimeSpan.FromSeconds(6), faults.Since(within));
        }

        var after = _clock.GetTimestamp();
        Pass(5);
        Assert.Equal(TimeSpan.Zero, faults.Since(after));
        using (faults.Begin())
        {
            Pass(1);
        }

        Pass(7);
        Assert.Equal(TimeSpan.FromSeconds(11), faults.Since(early));
        Assert.Equal(TimeSpan.FromSeconds(1), faults.Since(after));
        Assert.Equal(TimeSpan.Zero, faults.Since(_clock.GetTimestamp()));
    }

    [Fact]
    public void Changed_OfEachFault_TellsItsBeginningAndItsEnd()
    {
        var faults = new FaultTimes(_clock);
        var told = new List<bool>();
        faults.Changed = told.Add;

        using (faults.Begin())
        {
            Assert.Equal([true], told);
        }

        Assert.Equal([true, false], told);
    }

    private void Pass(int seconds) => _clock.Advance(TimeSpan.FromSeconds(seconds));
}
