using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Stores;

public sealed class StoreOutageTests
{
    private readonly FakeClock _clock = new();

    [Fact]
    public void IsNews_ManyFailures_IsTheFirstAndThenOneInHalfAMinute()
    {
        var outage = new StoreOutage(_clock);
        var news = new List<int>();
        for (var second = 0; second < 100; second++)
        {
            if (outage.IsNews())
            {
                news.Add(second);
            }

            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal([0, 30, 60, 90], news);
    }

    [Fact]
    public void IsNews_DifferentThings_AreToldOfEach()
    {
        var outage = new StoreOutage(_clock);

        Assert.True(outage.IsNews("open"));
        Assert.True(outage.IsNews("append"));
        Assert.False(outage.IsNews("open"));
    }

    [Fact]
    public void IsNews_ManyThreadsAtOnce_IsNewsToOne()
    {
        var outage = new StoreOutage(_clock);
        var news = 0;
        Parallel.For(0, 100, _ => Interlocked.Add(ref news, outage.IsNews() ? 1 : 0));

        Assert.Equal(1, news);
    }
}
