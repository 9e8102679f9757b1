using Mooring.Chaos.Clients;
using Xunit;

namespace Mooring.Tests.Chaos;

public sealed class PopulationTests
{
    [Theory]
    [InlineData(200, 10, 53)]
    [InlineData(200, 0, 50)]
    [InlineData(50, 1, 12)]
    [InlineData(10, 3, 6)]
    public void Clients_WithoutSessions_ComeOnTopOfTheSessionsAskedFor(int sessions, int official, int withoutSession)
    {
        var population = new Population(sessions, official);

        // As the official ones are made: the second of each three is pinned to the version without sessions.
        Assert.Equal(Enumerable.Range(0, official).Count(index => index % 3 == 1), population.Pinned);
        Assert.Equal(sessions, population.Strict + official - population.Pinned);
        Assert.Equal(withoutSession, population.WithoutSession);
    }
}
