using Xunit.Sdk;
using Xunit.v3;

namespace Mooring.Tests;

/// <summary>
/// Starts some collections before all others, in the order given. Collections run beside each other, and the tests of one after each other:
/// a long one that starts late runs on alone, and the machine waits for it.
/// </summary>
/// <param name="first">Test classes, or definitions of collections, that take longest.</param>
internal abstract class LongestFirst(params Type[] first) : ITestCollectionOrderer
{
    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(Place)];

    private int Place<TTestCollection>(TTestCollection collection)
        where TTestCollection : ITestCollection
    {
        // A class without a definition has a collection that is named after it, "Test collection for Its.Name (id: ...)".
        var place = Array.FindIndex(first, type =>
            collection.TestCollectionClassName == type.FullName || collection.TestCollectionDisplayName.Contains($" {type.FullName} (", StringComparison.Ordinal));
        return place < 0 ? first.Length : place;
    }
}
