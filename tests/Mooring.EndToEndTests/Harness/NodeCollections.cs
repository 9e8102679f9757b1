using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>The official suites run one after the other: they judge retry times by the clock.</summary>
[CollectionDefinition(Name)]
public sealed class NodeSuites
{
    public const string Name = "node suites";
}

/// <summary>Clients under Node run one after the other: each starts several processes.</summary>
[CollectionDefinition(Name)]
public sealed class NodeClients
{
    public const string Name = "node clients";
}
