using Mooring.Chaos.Servers;
using Xunit;

namespace Mooring.Tests.Chaos;

public sealed class NoticesTests
{
    [Fact]
    public void Unsent_OfWhatServersWroteDown_CountsWhatWasAcceptedBeyondWhatWasSent()
    {
        string[] lines =
        [
            "3-1-fast",
            Notices.SettledTo("a", 2),
            Notices.Accepted("a", 1), Notices.Accepted("a", 2), Notices.Accepted("a", 4), Notices.Accepted("a", 5),
            Notices.SettledTo("a", 4),
            Notices.Accepted("b", 1),
            Notices.Accepted("gone", 1), Notices.SettledTo("gone", long.MaxValue),
            "task 3-2-errand",
        ];

        Assert.Equal(2, Notices.Unsent(lines));
        Assert.Equal(2, Notices.Unsent(lines.Reverse()));
        Assert.Equal(0, Notices.Unsent(["3-1-fast"]));
    }
}
