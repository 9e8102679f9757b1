using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>Tests that drive whole suites and clients under Node run one after the other: a suite judges retry times by the clock.</summary>
[CollectionDefinition(Name)]
public sealed class NodeTests
{
    public const string Name = "node";
}
