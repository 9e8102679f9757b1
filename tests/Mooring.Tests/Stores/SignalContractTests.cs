using System.Threading.Channels;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Stores;

/// <summary>What wake-ups must do over every kind of store.</summary>
public abstract class SignalContractTests : IAsyncLifetime
{
    private IStoreSignals _signals = null!;

    private protected IStoreSignals Signals => _signals;

    public async ValueTask InitializeAsync() => _signals = await CreateAsync();

    public async ValueTask DisposeAsync()
    {
        await _signals.DisposeAsync();
        await CleanUpAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<IStoreSignals> CreateAsync();

    private protected virtual Task CleanUpAsync() => Task.CompletedTask;

    [Fact]
    public async Task Publish_SomebodyListens_HearsItsOwnSignalsOnly()
    {
        var (a, b) = (new HeardSignals(), new HeardSignals());
        await using var listeningA = _signals.Listen("a", a.Listener);
        await using var listeningB = _signals.Listen("B: \"quoted\" ünï, and a name much longer than the 63 bytes of an identifier", b.Listener);
        Assert.Equal("caught up", await a.NextAsync());
        Assert.Equal("caught up", await b.NextAsync());

        await _signals.PublishAsync("nobody", "mail", "0");
        await _signals.PublishAsync("a", "mail", "with space, \\ and \0");
        await _signals.PublishAsync("B: \"quoted\" ünï, and a name much longer than the 63 bytes of an identifier", "list", "");
        await _signals.PublishAsync("a", "event", new string('x', 7000));

        Assert.Equal("mail with space, \\ and \0", await a.NextAsync());
        Assert.Equal("event " + new string('x', 7000), await a.NextAsync());
        Assert.Equal("list ", await b.NextAsync());
    }

    [Fact]
    public async Task Publish_ManyOfTheSame_AreHeardAtLeastOnceAndMayBeMerged()
    {
        var heard = new HeardSignals();
        await using var listening = _signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());

        await Task.WhenAll(Enumerable.Range(0, 500).Select(i => _signals.PublishAsync("a", "mail", $"{i % 5}")));
        await _signals.PublishAsync("a", "last", "");

        var seen = new List<string>();
        string next;
        while ((next = await heard.NextAsync()) != "last ")
        {
            seen.Add(next);
        }

        Assert.Equal(["mail 0", "mail 1", "mail 2", "mail 3", "mail 4"], seen.Distinct().Order());
        Assert.InRange(seen.Count, 5, 500);
    }

    /// <summary>Whoever hears a signal looks at once; what changes from then on is for the next one to say.</summary>
    [Fact]
    public async Task Publish_WhileItsLikeIsBeingHeard_IsHeardOnceMore()
    {
        var (caughtUp, again, times) = (new TaskCompletionSource(), new TaskCompletionSource(), 0);
        var listener = new SignalListener(
            (kind, id) =>
            {
                if (++times == 1)
                {
                    _ = _signals.PublishAsync("a", kind, id);
                }
                else
                {
                    again.TrySetResult();
                }
            },
            () => caughtUp.TrySetResult(),
            () => { });
        await using var listening = _signals.Listen("a", listener);
        await Limit.Of(caughtUp.Task, "that it listens");

        await _signals.PublishAsync("a", "mail", "1");

        await Limit.Of(again.Task, "the second signal");
    }

    [Fact]
    public async Task Listen_Disposed_HearsNothingMore()
    {
        var (gone, stays) = (new HeardSignals(), new HeardSignals());
        var listening = _signals.Listen("a", gone.Listener);
        await using var other = _signals.Listen("a", stays.Listener);
        Assert.Equal("caught up", await gone.NextAsync());
        Assert.Equal("caught up", await stays.NextAsync());

        await listening.DisposeAsync();
        await _signals.PublishAsync("a", "mail", "1");

        Assert.Equal("mail 1", await stays.NextAsync());
        Assert.Equal(0, gone.Waiting);
    }

    [Fact]
    public async Task Publish_TooLongOrWithoutAKind_IsAMistakeOfTheCaller()
    {
        await Assert.ThrowsAsync<ArgumentException>(() => _signals.PublishAsync("a", "mail", new string('é', 4000)));
        await Assert.ThrowsAsync<ArgumentException>(() => _signals.PublishAsync("a", "two words", "1"));
        await Assert.ThrowsAsync<ArgumentException>(() => _signals.PublishAsync("a", "", "1"));
    }
}

/// <summary>What a listener heard, in order.</summary>
internal sealed class HeardSignals
{
    private readonly Channel<string> _heard = Channel.CreateUnbounded<string>();

    public SignalListener Listener => new(
        (kind, id) => _heard.Writer.TryWrite($"{kind} {id}"), () => _heard.Writer.TryWrite("caught up"), () => _heard.Writer.TryWrite("lost"));

    public int Waiting => _heard.Reader.Count;

    public async Task<string> NextAsync() => await Limit.Of(_heard.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask(), "a signal");
}
