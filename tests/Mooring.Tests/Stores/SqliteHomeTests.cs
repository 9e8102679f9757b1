using Mooring.Stores.Sqlite;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>What becomes of claims on homes in the file, where the contract cannot show it.</summary>
public sealed class SqliteHomeTests : IAsyncDisposable
{
    private static readonly DateTimeOffset Later = FakeClock.Start + TimeSpan.FromHours(1);

    private readonly SqliteFixture _fixture = new();

    public async ValueTask DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Session_EndedByTheReleaseBefore_TakesItsHomesAlong()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        SessionRows.Save(database, Session());
        SessionRows.Save(database, Session("other"));
        HomeRows.Claim(database, ("session", "files", "a"));
        HomeRows.Claim(database, ("other", "files", "b"));

        // All that it does to the session's own row.
        database.Execute("delete from sessions where id = 'session'");

        Assert.Equal(["b"], Holders(database));
    }

    [Fact]
    public async Task TakeOver_HomesOfTheDeadOne_AreGone()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        SessionRows.Save(database, Session());
        ReplicaRows.Beat(database, ("dead", "", FakeClock.Start));
        ReplicaRows.Beat(database, ("a", "", Later));
        HomeRows.Claim(database, ("session", "files", "dead"));
        HomeRows.Claim(database, ("session", "other", "a"));

        Assert.False(ReplicaRows.TakeOver(database, ("dead", "unknown", FakeClock.Start)));
        Assert.Equal(["a", "dead"], Holders(database));
        Assert.True(ReplicaRows.TakeOver(database, ("dead", "a", FakeClock.Start)));

        Assert.Equal(["a"], Holders(database));
    }

    [Fact]
    public async Task ClaimHome_HolderWasTakenOverAndTheClockSetBack_LosesItAllTheSame()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        SessionRows.Save(database, Session());
        ReplicaRows.Beat(database, ("dead", "", Later));
        ReplicaRows.Beat(database, ("a", "", Later));
        Assert.True(ReplicaRows.TakeOver(database, ("dead", "a", Later)));

        Assert.Equal("dead", HomeRows.Claim(database, ("session", "files", "dead")));
        Assert.Equal("a", HomeRows.Claim(database, ("session", "files", "a")));
    }

    private static List<string> Holders(SqliteDatabase database)
    {
        using var read = database.Use("select replica from homes order by replica");
        var holders = new List<string>();
        while (read.Step())
        {
            holders.Add(read.Text(0));
        }

        return holders;
    }
}
