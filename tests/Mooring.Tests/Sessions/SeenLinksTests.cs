using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Tests.Stores;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>What is kept of the links that servers sent: little, and what matters most.</summary>
public sealed class SeenLinksTests
{
    [Fact]
    public void Kept_MoreThanThereIsRoomFor_AreTheNewest_AndWhatItSubscribedTo()
    {
        var links = new SeenLinks();
        for (var i = 0; i < 100; i++)
        {
            links.Add(new SeenLink("a", $"l:{i}"));
        }

        var kept = links.In(Record(subscriptions: ["l:3", "else:1"])).Links;

        Assert.Equal(["l:3", .. Enumerable.Range(36, 64).Select(i => $"l:{i}")], kept.Select(link => link.Uri));
    }

    [Fact]
    public void Kept_LongOnes_AreOnlyAsManyAsARecordMayHold()
    {
        var links = new SeenLinks();
        for (var i = 0; i < 5; i++)
        {
            links.Add(new SeenLink("a", $"l:{i}" + new string('x', 3000)));
        }

        Assert.Equal(["l:3", "l:4"], links.In(Record()).Links.Select(link => link.Uri[..3]));
    }

    [Fact]
    public void Kept_AnotherReplicaKeptOthers_StandBesideOwnOnes()
    {
        var links = new SeenLinks();
        links.Add(new SeenLink("a", "l:2"));

        Assert.Equal(["l:1", "l:2"], links.In(Record() with { Links = [new("a", "l:1")] }).Links.Select(link => link.Uri));
    }

    [Fact]
    public void Due_OnceForWhatIsNew_AndNotAgainForTenSeconds()
    {
        var clock = new FakeClock();
        var links = new SeenLinks();
        Assert.False(links.IsDue(clock.GetTimestamp(), clock));

        links.Add(new SeenLink("a", "l:1"));
        Assert.True(links.IsDue(clock.GetTimestamp(), clock));
        links.Kept(links.News);
        links.Add(new SeenLink("a", "l:1"));
        Assert.False(links.HasNews);

        links.Add(new SeenLink("a", "l:2"));
        Assert.False(links.IsDue(clock.GetTimestamp(), clock));
        clock.Advance(TimeSpan.FromSeconds(10.1));
        Assert.True(links.IsDue(clock.GetTimestamp(), clock));
    }

    private static SessionRecord Record(IReadOnlyList<string>? subscriptions = null) => StoreRecords.Session() with { Subscriptions = subscriptions ?? [], Links = [] };
}
