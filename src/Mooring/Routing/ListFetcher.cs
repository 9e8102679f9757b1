using System.Collections.Concurrent;
using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>Reads whole lists from servers: every page, with a cap and a guard against cursors that go in a circle.</summary>
internal sealed partial class ListFetcher(UpstreamMetrics metrics, TimeProvider time, ILogger<ListFetcher> logger)
{
    private const int MaxPages = 1000;

    private readonly ConcurrentDictionary<(string Server, ListKind Kind), bool> _cut = new();

    /// <returns>The list, or why there is none. Never fails: whoever asks has other servers' lists to show.</returns>
    public async Task<(ServerList? List, string Why)> FetchAsync(Link link, ListKind kind, CancellationToken cancel)
    {
        try
        {
            return await ReadAsync(link, kind, cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return (null, $"it did not answer {kind.Method()} in time");
        }
        catch (Exception e)
        {
            // A bug of ours in what one server answers.
            Log.Failed(logger, e, link.Upstream.Name, kind.Method());
            return (null, "the gateway failed to read it");
        }
    }

    private async Task<(ServerList? List, string Why)> ReadAsync(Link link, ListKind kind, CancellationToken cancel)
    {
        if (link.InitializeResult.IsEmpty)
        {
            return (null, "it is not known on this link what the server has");
        }

        if (!JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, System.Text.Encoding.ASCII.GetBytes(kind.Capability())).IsPresent)
        {
            return (ServerList.Empty(kind, CacheHint.Of(link.InitializeResult.Span), time.GetUtcNow()), "");
        }

        var (asked, now) = (Turn.Next(), time.GetUtcNow());
        var pages = new List<byte[]>();
        var cursors = new HashSet<string>(StringComparer.Ordinal);
        byte[] parameters = [];
        long bytes = 0;
        while (true)
        {
            var attempt = await link.RequestAsync(kind.Method(), parameters, cancel);
            if (attempt.Kind == AttemptKind.SessionLost)
            {
                attempt = await link.ReinitializeAsync(attempt.Session, cancel);
                if (attempt.Kind == AttemptKind.Answered)
                {
                    attempt = await link.RequestAsync(kind.Method(), parameters, cancel);
                }
            }

            if (attempt.Kind != AttemptKind.Answered)
            {
                return (null, attempt.Detail);
            }

            var answer = attempt.Answer!;
            if (answer.Kind == FrameKind.Error)
            {
                // Servers that declare resources but have no templates answer "method not found".
                return Code(answer) == "-32601" ? (ServerList.Empty(kind, confirmed: now), "") : (null, $"it refused {kind.Method()}: {JsonFields.String(answer.Span(answer.Envelope.Error), "message"u8)}");
            }

            var page = answer.Span(answer.Envelope.Result).ToArray();
            var items = JsonFields.Find(page, kind.KeyBytes());
            if (!items.IsPresent || page[items.Start] != '[')
            {
                return (null, $"its answer to {kind.Method()} has no \"{kind.Key()}\"");
            }

            pages.Add(page);
            bytes += page.Length;
            // An empty one is how some servers write "no more".
            if (JsonFields.String(page, "nextCursor"u8) is not { Length: > 0 } cursor)
            {
                IsCut(link.Upstream, kind, isCut: false);
                break;
            }

            if (pages.Count == MaxPages)
            {
                IsCut(link.Upstream, kind, isCut: true);
                break;
            }

            if (!cursors.Add(cursor))
            {
                return (null, $"its pages of {kind.Method()} go in a circle");
            }

            if (bytes > 64 * 1024 * 1024)
            {
                return (null, $"its answers to {kind.Method()} have more than 64 MB");
            }

            parameters = [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
        }

        return (ServerList.Join(kind, pages, asked, now), "");
    }

    /// <summary>Said once, not at each reading; counted as long as it is so.</summary>
    private void IsCut(Upstream upstream, ListKind kind, bool isCut)
    {
        if (isCut && _cut.TryAdd((upstream.Name, kind), true))
        {
            metrics.ListIsCut(upstream.Name, kind.Key(), isCut);
            Log.Cut(logger, upstream.Name, kind.Method(), MaxPages);
        }
        else if (!isCut && _cut.TryRemove((upstream.Name, kind), out _))
        {
            metrics.ListIsCut(upstream.Name, kind.Key(), isCut);
        }
    }

    private static string Code(Frame error)
    {
        var body = error.Span(error.Envelope.Error);
        var at = JsonFields.Find(body, "code"u8);
        return at.IsPresent ? JsonText.Read(body.Slice(at.Start, at.Length)) : "";
    }

    private static partial class Log
    {
        [LoggerMessage(240, LogLevel.Warning, "{Method} of server {Server} has more than {Pages} pages; what comes after them is not shown.", EventName = "ListCut")]
        public static partial void Cut(ILogger logger, string server, string method, int pages);

        [LoggerMessage(241, LogLevel.Error, "Reading {Method} of server {Server} failed.", EventName = "ListReadingFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string server, string method);
    }
}
