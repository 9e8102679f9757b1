using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class NamesTests
{
    private readonly MemoryStore _store = new(new FakeClock());

    [Theory]
    [InlineData("tool")]
    [InlineData("a_b-c.d9")]
    public void Fit_LegalName_StaysAsItIs(string name) => Assert.Equal(name, Names.Fit(name));

    [Theory]
    [InlineData("a b", "a_b_")]
    [InlineData("a/b", "a_b_")]
    [InlineData("größe", "gr__e_")]
    [InlineData("a\nb", "a_b_")]
    public void Fit_IllegalCharacters_BecomeUnderscoresAndAHashOfTheWhole(string name, string start)
    {
        var fit = Names.Fit(name);

        Assert.StartsWith(start, fit, StringComparison.Ordinal);
        Assert.Matches("^[A-Za-z0-9_.-]{1,128}$", fit);
        Assert.Equal(start.Length + 8, fit.Length);
    }

    [Fact]
    public void Fit_NamesThatDifferOnlyInIllegalCharacters_StayApart() =>
        Assert.Equal(3, new[] { "a b", "a/b", "a_b" }.Select(Names.Fit).Distinct(StringComparer.Ordinal).Count());

    [Fact]
    public void Claim_AnotherReplicaWasFirst_IsCorrectedAndTold()
    {
        var (here, there) = (new Names(_store, NullLogger<Names>.Instance), new Names(_store, NullLogger<Names>.Instance));
        var corrected = 0;
        there.Corrected = () => corrected++;
        here.Claim("uri", "file:///x", "s2");
        var before = there.Version;

        there.Claim("uri", "file:///x", "s1");

        Assert.Equal("s2", there.Holder("uri", "file:///x"));
        Assert.NotEqual(before, there.Version);
        Assert.Equal(1, corrected);
        Assert.Equal("s2", there.Claim("uri", "file:///x", "s1"));
    }

    [Fact]
    public void Fit_LongestName_StaysAndOneMoreIsShortened()
    {
        var longest = new string('x', Names.Longest);

        Assert.Equal(longest, Names.Fit(longest));
        var shortened = Names.Fit(longest + "y");
        Assert.Equal(Names.Longest, shortened.Length);
        Assert.NotEqual(shortened, Names.Fit(longest + "z"));
    }

    [Fact]
    public void Fit_SameNameAtAnyTime_IsTheSame() =>
        // Written down: a release that computed it otherwise would rename the tools people's rules and prompts refer to.
        Assert.Equal("one__a_b_d0bcdce0", Names.Prefixed("one", "a b"));

    [Fact]
    public void Prefixed_OverLongTogether_KeepsTheServersName()
    {
        var shown = Names.Prefixed("one", new string('x', 126));

        Assert.StartsWith("one__xxx", shown, StringComparison.Ordinal);
        Assert.Equal(Names.Longest, shown.Length);
    }

    [Fact]
    public async Task Claim_HeldName_StaysWithItsFirstHolderAlsoAfterARestart()
    {
        var names = New();
        Assert.Equal("b", names.Claim("tool", "t", "b"));
        Assert.Equal("b", names.Claim("tool", "t", "a"));
        Assert.Equal("a", names.Claim("prompt", "t", "a"));

        var next = New();
        await next.LoadAsync(TestContext.Current.CancellationToken);

        Assert.Equal("b", next.Claim("tool", "t", "a"));
        Assert.Equal("a", next.Claim("prompt", "t", "b"));
    }

    [Fact]
    public async Task Claim_ByManyAtOnce_HasOneHolderHereAndInTheStore()
    {
        var names = New();
        var holders = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(() => names.Claim("tool", "t", $"s{i}"), TestContext.Current.CancellationToken)));

        var holder = Assert.Single(holders.Distinct(StringComparer.Ordinal));
        Assert.Equal([new NameRecord("tool", "t", holder)], await _store.LoadNamesAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Release_ServersThatAreNoLonger_FreesTheirNamesForGood()
    {
        var names = New();
        names.Claim("tool", "t", "gone");
        names.Claim("tool", "u", "stays");

        names.Release(server => server == "stays");

        Assert.Equal("next", names.Claim("tool", "t", "next"));
        Assert.Equal("stays", names.Claim("tool", "u", "next"));
        var kept = await _store.LoadNamesAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["t next", "u stays"], kept.Select(n => $"{n.Name} {n.Server}").Order(StringComparer.Ordinal));
    }

    private Names New() => new(_store, NullLogger<Names>.Instance);
}
