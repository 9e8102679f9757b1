using Mooring.Tasks;
using Mooring.Tests.Stores;
using Xunit;

namespace Mooring.Tests.Tasks;

public sealed class TaskEarTests
{
    [Fact]
    public void Hear_TheSameAgainOrAnOlderState_IsNotToldOnceMore()
    {
        var heard = new List<long>();
        var ear = new TaskEar("task", task => heard.Add(task.Revision));

        foreach (var revision in new[] { 0L, 2, 1, 2, 3 })
        {
            ear.Hear(StoreRecords.Held() with { Revision = revision });
        }

        Assert.Equal([0, 2, 3], heard);
    }
}
