using System.Collections.Concurrent;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>
/// Tells a server what its link is to hear: a log level, and subscriptions. A server that says nothing to one of these costs a wait of
/// <see cref="Patience"/> and that one wish, and nobody the link.
/// </summary>
internal static class LinkWishes
{
    /// <summary>Longest wait for the answer to one of them. What comes later counts for the server, too; only nobody waits for it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Wishes of one link that wait for their answer at a time: one that is not answered holds up none of the others.</summary>
    private const int AtOnce = 16;

    /// <param name="link">The link.</param>
    /// <param name="level">As on the wire.</param>
    /// <param name="cancel">Gives up sooner.</param>
    /// <returns>How it ended; abandoned, where no answer came in time.</returns>
    public static Task<Attempt> SetLevelAsync(this Link link, string level, CancellationToken cancel = default) =>
        AskAsync(link, "logging/setLevel", [.. "{\"level\":"u8, .. JsonText.Quote(level), (byte)'}'], cancel);

    /// <inheritdoc cref="SetLevelAsync"/>
    /// <param name="uri">The resource, as its server calls it.</param>
    public static Task<Attempt> SubscribeAsync(this Link link, string uri, CancellationToken cancel = default) => AskAsync(link, "resources/subscribe", Uri(uri), cancel);

    /// <inheritdoc cref="SubscribeAsync"/>
    public static Task<Attempt> UnsubscribeAsync(this Link link, string uri, CancellationToken cancel = default) => AskAsync(link, "resources/unsubscribe", Uri(uri), cancel);

    /// <summary>Tells a server all that a link which it knows nothing of is to hear. Once it has left several unanswered it is asked no more.</summary>
    /// <param name="link">The link.</param>
    /// <param name="level">Left out where it is null, or the server declares no logging.</param>
    /// <param name="uris">Resources, as their server calls them.</param>
    /// <param name="cancel">Gives up.</param>
    public static Task ApplyAsync(this Link link, string? level, IEnumerable<string> uris, CancellationToken cancel = default)
    {
        var wishes = new ConcurrentQueue<Func<Task<Attempt>>>();
        if (level is not null && JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, "logging"u8).IsPresent)
        {
            wishes.Enqueue(() => link.SetLevelAsync(level, cancel));
        }

        foreach (var uri in uris)
        {
            wishes.Enqueue(() => link.SubscribeAsync(uri, cancel));
        }

        return Task.WhenAll(Enumerable.Range(0, Math.Min(AtOnce, wishes.Count)).Select(_ => OneByOneAsync()));

        async Task OneByOneAsync()
        {
            while (wishes.TryDequeue(out var wish) && (await wish()).Kind != AttemptKind.Abandoned)
            {
                // The next one, until one is not answered.
            }
        }
    }

    public static byte[] Uri(string uri) => [.. "{\"uri\":"u8, .. JsonText.Quote(uri), (byte)'}'];

    private static async Task<Attempt> AskAsync(Link link, string method, byte[] parameters, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(Patience, link.Upstream.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        return await link.RequestAsync(method, parameters, both.Token);
    }
}
