using Mooring.Auth;
using Xunit;

namespace Mooring.Tests.Auth;

public sealed class CallerTests
{
    [Fact]
    public async Task Streams_OpenAndCloseAtOnce_AreCountedRight()
    {
        var caller = new Caller(Person.Nobody, [], DateTimeOffset.MaxValue);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 200_000; i++)
            {
                caller.Open();
                caller.Close();
            }
        })));

        Assert.False(caller.HasStreams);
        caller.Open();
        Assert.True(caller.HasStreams);
    }
}
