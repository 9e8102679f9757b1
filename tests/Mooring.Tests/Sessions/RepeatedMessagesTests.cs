using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>What comes to an outbox by two ways, or once more from a mailbox that was taken over, is known.</summary>
public sealed class RepeatedMessagesTests
{
    private readonly FakeClock _clock = new();
    private readonly RepeatedMessages _known;

    public RepeatedMessagesTests() => _known = new RepeatedMessages(_clock);

    [Fact]
    public void Letter_ComesAgainWhileItIsHere_IsTheOneThatWasKept()
    {
        var first = Letter("one");
        Assert.False(_known.CameBefore(first, out _));

        Assert.True(_known.CameBefore(Letter("one"), out var kept));
        Assert.Same(first.Kept, kept);
        Assert.False(_known.CameBefore(Letter("two"), out _));
    }

    [Fact]
    public void Letter_WentOn_CountsOnlyWhereItComesBackFromThere()
    {
        _known.CameBefore(Letter("one", hops: 1), out _);
        _known.Went("one", hops: 1, origin: null);

        Assert.True(_known.CameBefore(Letter("one", hops: 1), out _));
        Assert.False(_known.CameBefore(Letter("one", hops: 2), out _));
    }

    [Fact]
    public void Event_HeardTwice_IsKnownUntilItWentOn()
    {
        var origin = new EventOrigin("files", "theirs", "e1");
        Assert.False(_known.WasHeard(origin));
        Assert.True(_known.WasHeard(origin with { Hearer = "another" }));
        Assert.False(_known.WasHeard(origin with { UpstreamSessionId = "the next" }));

        _known.Went(name: null, hops: 0, origin);

        Assert.False(_known.WasHeard(origin));
    }

    [Fact]
    public void Change_ByBothWaysWithinSeconds_IsToldOnce()
    {
        Assert.False(_known.IsTold("files", "tools", byLetter: true));
        Assert.True(_known.IsTold("files", "tools", byLetter: false));
        Assert.False(_known.IsTold("files", "tools", byLetter: false));
        Assert.False(_known.IsTold("mail", "tools", byLetter: true));
        _clock.Advance(TimeSpan.FromSeconds(6));

        Assert.False(_known.IsTold("files", "tools", byLetter: true));
    }

    private static PassedMessage Letter(string name, int hops = 0) => new(name, mayBeThere: true) { Hops = hops };
}
