using Mooring.Host.Lifetime;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary>Memory of a busy time is given back once it is quiet.</summary>
public sealed class QuietCollectionTests
{
    private const long Much = QuietCollection.Worth;

    private readonly FakeClock _clock = new();
    private readonly QuietCollection _quiet;
    private long _made;
    private long _inUse;
    private int _collections;

    public QuietCollectionTests() => _quiet = new QuietCollection(_clock, () => _made, () => _inUse, () => _collections++);

    [Fact]
    public void AfterABusyTime_IsCollectedOnce()
    {
        Pass(seconds: 1, made: Much);

        Pass(QuietCollection.QuietSeconds - 1, made: QuietCollection.Quiet);
        Assert.Equal(0, _collections);
        Pass(seconds: 1, made: QuietCollection.Quiet);
        Assert.Equal(1, _collections);
        Pass(seconds: 10, made: 0);
        Assert.Equal(1, _collections);

        Pass(seconds: 1, made: Much);
        Pass(QuietCollection.QuietSeconds, made: 0);
        Assert.Equal(2, _collections);
    }

    [Fact]
    public void WhileItIsBusy_IsLeftToTheRuntime()
    {
        for (var i = 0; i < 5; i++)
        {
            Pass(QuietCollection.QuietSeconds - 1, made: 0);
            Pass(seconds: 1, made: Much);
        }

        Assert.Equal(0, _collections);
    }

    [Fact]
    public void WithAFewCallsInEachSecond_IsNeverStoppedForThem()
    {
        Pass(seconds: 1, made: Much);
        Pass(seconds: 1000, made: QuietCollection.Quiet);

        Assert.Equal(1, _collections);
    }

    [Fact]
    public void WithLittleGarbage_IsNotWorthAPause()
    {
        Pass(seconds: 1, made: Much - 1);
        Pass(seconds: 20, made: 0);

        Assert.Equal(0, _collections);
    }

    [Fact]
    public void WithMuchInUse_ThePauseWouldBeFelt()
    {
        _inUse = QuietCollection.Most + 1;
        Pass(seconds: 1, made: Much);
        Pass(seconds: 20, made: 0);

        Assert.Equal(0, _collections);
    }

    private void Pass(int seconds, long made)
    {
        for (var second = 0; second < seconds; second++)
        {
            _made += made;
            _clock.Advance(TimeSpan.FromSeconds(1));
            _quiet.OnHeartbeat(_clock.GetTimestamp());
            // Beats come more often than once a second.
            _quiet.OnHeartbeat(_clock.GetTimestamp());
        }
    }
}
