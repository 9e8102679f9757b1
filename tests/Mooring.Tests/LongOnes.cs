using Mooring.Tests;
using Mooring.Tests.Auth;
using Mooring.Tests.Protocol;
using Mooring.Tests.Replicas;
using Mooring.Tests.Sessions;
using Mooring.Tests.Stores.DynamoDb;
using Mooring.Tests.Stores.Postgres;
using Mooring.Tests.Tasks;
using Mooring.Tests.Vault;
using Xunit;

[assembly: TestCollectionOrderer(typeof(LongOnes))]

namespace Mooring.Tests;

/// <summary>What takes longest here: many small steps of the fake clock, and stores that are programs of their own.</summary>
internal sealed class LongOnes() : LongestFirst(
    typeof(TokensTests), typeof(PostgresProxyTests), typeof(PostgresStoreTests), typeof(SessionExpiryTests), typeof(DynamoDbStoreTests), typeof(TokenExchangeTests),
    typeof(PostgresFaultTests), typeof(HeldTaskTests), typeof(ReplicaFaultTests), typeof(FrameReaderFuzzTests));
