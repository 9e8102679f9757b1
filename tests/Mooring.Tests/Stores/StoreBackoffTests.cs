using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Stores;

public sealed class StoreBackoffTests
{
    [Fact]
    public void Next_FailingForLong_DoublesWithJitterUpToTheLongest()
    {
        var backoff = new StoreBackoff(new Random(1));
        var whole = StoreBackoff.First.TotalSeconds;
        for (var i = 0; i < 30; i++)
        {
            Assert.InRange(backoff.Next().TotalSeconds, whole / 2, whole);
            whole = Math.Min(whole * 2, StoreBackoff.Longest.TotalSeconds);
        }

        backoff.Reset();
        Assert.InRange(backoff.Next(), StoreBackoff.First / 2, StoreBackoff.First);
        Assert.NotEqual(new StoreBackoff(new Random(2)).Next(), new StoreBackoff(new Random(3)).Next());
    }
}
