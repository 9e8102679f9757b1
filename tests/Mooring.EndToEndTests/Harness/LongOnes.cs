using Mooring.EndToEndTests.Faults;
using Mooring.EndToEndTests.Harness;
using Mooring.EndToEndTests.Merging;
using Mooring.EndToEndTests.Replicas;
using Mooring.Tests;
using Xunit;

[assembly: TestCollectionOrderer(typeof(LongOnes))]

namespace Mooring.EndToEndTests.Harness;

/// <summary>What takes longest here: clients and suites under Node, each one after the other, and what waits for gateways that were killed.</summary>
internal sealed class LongOnes() : LongestFirst(
    typeof(NodeClients), typeof(NodeSuites), typeof(ReplicaKilledTests), typeof(FeatureMatrixTests), typeof(ProxyTests), typeof(SlowReaderTests), typeof(PostgresTroubleTests));
