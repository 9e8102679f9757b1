extern alias chaos;

using chaos::Mooring.Chaos.Rounds;
using Xunit;

namespace Mooring.EndToEndTests.Chaos;

/// <summary>The rounds take both cores of a small machine for two minutes: they run when everything else is done.</summary>
[CollectionDefinition(nameof(ShortRoundTests), DisableParallelization = true)]
public sealed class ShortRoundCollection : ICollectionFixture<ShortRounds>;

/// <summary>No fault loses a call, does one twice, or loses a session or an event. The long rounds are in docs/stability.md.</summary>
[Collection(nameof(ShortRoundTests))]
public sealed class ShortRoundTests(ShortRounds rounds)
{
    public static TheoryData<string> Names => [.. AllRounds.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Fault_UnderLoad_EveryPromiseIsKept(string round)
    {
        var cells = rounds.CellsOf(round);
        Assert.True(cells.Length > 4, $"{round} left no row.\n{rounds.Progress}");
        // Behind it: the build, the load, nothing.
        var verdict = cells[^4];
        Assert.SkipWhen(verdict.StartsWith("not played", StringComparison.Ordinal), verdict);
        Assert.True(verdict == "kept", $"{string.Join(" | ", cells)}\n{rounds.Progress}");
    }
}
