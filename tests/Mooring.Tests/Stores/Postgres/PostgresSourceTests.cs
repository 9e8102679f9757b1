using Microsoft.Extensions.Logging;
using Mooring.Stores.Postgres;
using Npgsql;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Statements are prepared where, and only where, a connection has a server session of its own.</summary>
public sealed class PostgresSourceTests(SharedCluster shared) : IAsyncLifetime
{
    private PostgresFixture _fixture = null!;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public async ValueTask DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Open_Directly_PreparesWhatIsUsedAgain()
    {
        await using var source = Source(_fixture.Options);

        Assert.True(await PreparedAfterUsesAsync(source) > 0);
        Assert.True(source.Prepares);
        Assert.DoesNotContain(_fixture.Log.Lines, line => line.Contains("shares its sessions", StringComparison.Ordinal));
    }

    /// <summary>There the name of a statement could mean somebody else's.</summary>
    [Fact]
    public async Task Open_ThroughAProxyThatSharesSessions_PreparesNothingAndSaysSoOnce()
    {
        var proxied = await _fixture.Cluster.ProxiedConnectionToAsync(_fixture.Database);
        await using var source = Source(_fixture.Options with { Connection = proxied });

        Assert.Equal(0, await PreparedAfterUsesAsync(source));
        Assert.Equal(0, await PreparedAfterUsesAsync(source));
        Assert.False(source.Prepares);
        Assert.Single(_fixture.Log.Lines, line => line.Contains("shares its sessions", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Max Auto Prepare=0", false)]
    [InlineData("MaxAutoPrepare=20;Auto Prepare Min Usages=2", true)]
    public async Task Open_WhereTheConnectionSaysWhatIsPrepared_DoesThat(string words, bool isPrepared)
    {
        await using var source = Source(_fixture.Options with { Connection = $"{_fixture.Options.Connection};{words}" });

        Assert.Equal(isPrepared, await PreparedAfterUsesAsync(source) > 0);
        Assert.False(source.Prepares);
    }

    private PostgresSource Source(PostgresStoreOptions options) => new(options, "The database", new LoggerFactory([_fixture.Log]).CreateLogger<PostgresSource>());

    /// <summary>How many statements the connection's session has prepared after one was used three times.</summary>
    private static async Task<long> PreparedAfterUsesAsync(PostgresSource source)
    {
        await using var connection = await source.OpenAsync(TestContext.Current.CancellationToken);
        for (var use = 0; use < 3; use++)
        {
            await using var command = new NpgsqlCommand("select $1 + 1", connection) { Parameters = { new() { Value = use } } };
            Assert.Equal(use + 1, await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        }

        await using var question = new NpgsqlCommand("select count(*) from pg_prepared_statements where name <> ''", connection);
        return (long)(await question.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }
}
