using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Which writes become one statement.</summary>
public sealed class PostgresBatchTests
{
    [Fact]
    public void Group_AppendsOfManySessions_AreOneStatement() =>
        Assert.Equal(["append a1 b1 a2 c1"], Groups(Append("a", 1), Append("b", 1), Append("a", 2), Append("c", 1)));

    [Fact]
    public void Group_OtherWriteOfTheSession_IsNotOvertaken() =>
        Assert.Equal(
            ["append a1 b1 b2", "trim a", "append a2 c1"],
            Groups(Append("a", 1), Append("b", 1), Trim("a"), Append("b", 2), Append("a", 2), Append("c", 1)));

    [Fact]
    public void Group_SameEventTwice_IsTwoStatements() =>
        Assert.Equal(["append a1", "append a1 a2"], Groups(Append("a", 1), Append("a", 1), Append("a", 2)));

    [Fact]
    public void Group_WriteOfManySessions_KeepsItsPlaceAmongAll() =>
        Assert.Equal(["append a1", "touch", "append b1"], Groups(Append("a", 1), new PostgresWrite<(string, DateTimeOffset)[], bool>(SessionRows.Touch, null, [], 0), Append("b", 1)));

    private static PostgresWrite Append(string session, int sequence) =>
        new PostgresWrite<(EventRecord, StreamState?), WriteOutcome>(EventRows.Append, session, (Event(sequence, "stream", session), null), 0);

    private static PostgresWrite Trim(string session) => new PostgresWrite<(string, int, long), bool>(EventRows.Trim, session, (session, 1, 1), 0);

    private static IEnumerable<string> Groups(params PostgresWrite[] writes) => PostgresBatch.Group(writes).Select(group =>
        group.Statement == EventRows.Trim ? $"trim {group.Members[0].Key}"
        : group.Statement == SessionRows.Touch ? "touch"
        : "append " + string.Join(' ', group.Members.Cast<PostgresWrite<(EventRecord, StreamState?), WriteOutcome>>().Select(write => $"{write.Key}{write.Argument.Item1.Sequence}")));
}
