using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.FrontDoor;
using Mooring.Sessions;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Limits that replicas share, on a real server and by its clock.</summary>
public sealed class PostgresPermitTests(SharedCluster shared) : IAsyncLifetime
{
    private PostgresFixture _fixture = null!;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Lease_ManyAtOnceAtTwoReplicas_GivesTheMinutesPermitsOnce()
    {
        var (a, b) = (await _fixture.OpenAsync(), await _fixture.OpenAsync());

        var granted = await WithinAMinuteAsync(async key =>
        {
            var leases = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => (i % 2 == 0 ? a : b).LeasePermitsAsync(key, 7, 100)));
            Assert.All(leases, lease => Assert.InRange(lease.Left, TimeSpan.Zero, TimeSpan.FromMinutes(1)));
            return leases.Sum(lease => lease.Granted);
        });

        Assert.Equal(100, granted);
    }

    [Fact]
    public async Task Lease_OfAMinuteThatIsOver_BeginsAnew_AndOthersKeysAreTheirOwn()
    {
        var store = await _fixture.OpenAsync();
        await store.LeasePermitsAsync("a", 10, 10);
        await _fixture.ExecuteAsync("update mooring.permits set minute = minute - 1 where key = 'a'");

        Assert.Equal(10, (await store.LeasePermitsAsync("a", 15, 10)).Granted);
        Assert.Equal(4, (await store.LeasePermitsAsync("b", 4, 10)).Granted);

        await _fixture.ExecuteAsync("update mooring.permits set minute = minute - 7 where key = 'a'");
        await store.ExpireTasksAsync(DateTimeOffset.MinValue);
        Assert.Equal("b", await _fixture.AskAsync("select string_agg(key, ',') from mooring.permits"));
    }

    [Fact]
    public async Task Calls_AtTwoReplicas_AreLimitedTogether()
    {
        var (a, b) = (Rate(await _fixture.OpenAsync()), Rate(await _fixture.OpenAsync()));

        var passed = await WithinAMinuteAsync(async key =>
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => (i % 2 == 0 ? a : b).TakeAsync(new Principal("i", key), 1).AsTask()));
            return answers.Count(reached => reached is null);
        });

        Assert.InRange(passed, 40, 50);
    }

    /// <summary>By the server's clock, whose minute may end meanwhile; then it is tried in the next.</summary>
    private async Task<int> WithinAMinuteAsync(Func<string, Task<int>> work)
    {
        for (var i = 0; ; i++)
        {
            var before = await _fixture.AskAsync("select floor(extract(epoch from now()) / 60)::bigint");
            var result = await work($"key {i}");
            if (Equals(before, await _fixture.AskAsync("select floor(extract(epoch from now()) / 60)::bigint")) || i == 3)
            {
                return result;
            }
        }
    }

    private CallRate Rate(IPermitStore store) => new(
        _fixture.Clock, new ConfigStore(new MooringConfig { Limits = new LimitsConfig { CallsPerUserPerMinute = 50 } }, ""),
        new Logger<CallRate>(new LoggerFactory([_fixture.Log])), new PermitSource(store));
}
