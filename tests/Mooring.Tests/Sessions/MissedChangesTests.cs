using Mooring.Routing;
using Mooring.Sessions;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Nobody who comes back is told too little, whoever of those who left it is.</summary>
public sealed class MissedChangesTests
{
    private static readonly HashSet<ListKind> Tools = [ListKind.Tools];
    private static readonly HashSet<ListKind> Both = [ListKind.Tools, ListKind.Prompts];

    private readonly FakeClock _clock = new();

    [Fact]
    public void Came_NobodyLeft_IsNotKnown()
    {
        var missed = new MissedChanges(_clock);
        Assert.Null(missed.Came(Both));

        missed.Left(Tools);
        Assert.Null(missed.Came(new HashSet<ListKind> { ListKind.Resources }));
        Assert.Empty(missed.Came(Both)!);
        Assert.Null(missed.Came(Both));
    }

    [Fact]
    public void Came_SeveralAreAway_EachIsToldWhatAnyOfThemMissed()
    {
        var missed = new MissedChanges(_clock);
        missed.Left(Both);
        missed.Changed(ListKind.Tools);
        missed.Left(Both);

        Assert.Equal(Tools, missed.Came(Both));
        Assert.Equal(Tools, missed.Came(Both));
        Assert.False(missed.HasAny);
    }

    [Fact]
    public void Left_StaysAway_IsForgottenAfterTenMinutes()
    {
        var missed = new MissedChanges(_clock);
        missed.Left(Tools);
        missed.Changed(ListKind.Tools);
        _clock.Advance(TimeSpan.FromMinutes(11));

        Assert.Null(missed.Came(Tools));
        Assert.False(missed.HasAny);
    }

    [Fact]
    public void Left_Many_AreKeptAsFewWhoMissedAll()
    {
        var missed = new MissedChanges(_clock);
        missed.Left(Both);
        missed.Changed(ListKind.Prompts);
        for (var i = 0; i < 100; i++)
        {
            missed.Left(Tools);
        }

        var told = 0;
        for (var i = 0; i < 32; i++)
        {
            told += missed.Came(Both)!.Contains(ListKind.Prompts) ? 1 : 0;
        }

        Assert.Equal(32, told);
        Assert.False(missed.HasAny);
    }
}
