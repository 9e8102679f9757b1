using Xunit;
using Xunit.Sdk;
using Xunit.v3;

namespace Mooring.Tests;

public sealed class LongestFirstTests
{
    [Fact]
    public void Collections_SomeNamed_ComeFirstInTheirOrderAndTheOthersStay()
    {
        var assembly = new XunitTestAssembly(typeof(LongestFirstTests).Assembly);
        XunitTestCollection Of(Type type) => new(assembly, null, true, $"Test collection for {type.FullName} (id: 00)");
        XunitTestCollection[] given =
        [
            Of(typeof(FakeClockTests)), Of(typeof(Second)), new(assembly, typeof(First), false, "by its own name"), Of(typeof(LongestFirstTests)),
        ];

        var ordered = new Order().OrderTestCollections(given);

        Assert.Equal([given[2], given[1], given[0], given[3]], ordered);
    }

    private sealed class First;

    private sealed class Second;

    private sealed class Order() : LongestFirst(typeof(First), typeof(Second));
}
