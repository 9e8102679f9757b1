using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Streams;

public sealed class HeartbeatItemsTests
{
    [Fact]
    public void Each_OneThrows_TheOthersAreDoneAndAllAreForgotten()
    {
        List<int> due = [1, 2, 3];
        var done = new List<int>();

        var thrown = Assert.Throws<InvalidOperationException>(() => HeartbeatItems.Each(due, one =>
        {
            done.Add(one);
            if (one < 3)
            {
                throw new InvalidOperationException($"{one}");
            }
        }));

        Assert.Equal("1", thrown.Message);
        Assert.Equal([1, 2, 3], done);
        Assert.Empty(due);
    }
}
