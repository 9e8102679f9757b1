using System.Text;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>Answers lists from what is known, page by page; only a server that nothing certain is known of is waited for, and not for long.</summary>
internal sealed partial class Lists(UpstreamTable upstreams, Views views, BridgedTasks bridged, TimeProvider time, ILogger<Lists> logger)
{
    /// <summary>Items of one page of a list; most clients read only the first page well.</summary>
    private const int PageSize = 1000;

    /// <summary>Has a list request answered. Never throws.</summary>
    public async Task AnswerAsync(Session session, Frame request, Reply reply, ListKind kind)
    {
        try
        {
            var servers = session.Server is { } name ? upstreams.Find(name) is { } only ? [only] : [] : upstreams.All;
            await FirstLooksAsync(session, servers, kind, reply.Access);
            var now = time.GetUtcNow();
            if (session.Server is null)
            {
                var merged = views.Merged(session, kind);
                var (items, hash) = Permits.Shown(reply.Access, merged, session.Version, OffersTasks(session, kind, servers));
                // Without a server it is neither complete nor the same for everybody.
                Page(request, reply, kind, items, hash, merged.Sources.Count == servers.Count ? merged.HintAt(now, upstream => session.Links.IsTold(upstream, kind)) : CacheHint.None);
            }
            else if (servers.Count == 0)
            {
                reply.Refuse(request, JsonRpc.ServerError, $"Server \"{session.Server}\" is no longer configured.");
            }
            else if (views.Known(session, servers[0], kind) is not { } known)
            {
                if (session.Links.Needs(servers[0]) is { } needed)
                {
                    reply.Complete(request.Raw(request.Envelope.Id), AccountErrors.ToResponse(request.Id, session, servers[0].Name, needed));
                    return;
                }

                reply.Refuse(request, JsonRpc.InternalError,
                    $"Server \"{session.Server}\" has not answered {kind.Method()} yet ({servers[0].Health.LastFailure ?? "it is still starting"}), and nothing is known from before. A list-changed notification follows when it does.");
            }
            else if (Permits.Shown(reply.Access, servers[0].Name, known) is var list && list.Items.Count <= PageSize && !HasCursor(request))
            {
                // Older versions have no such word; whoever speaks one reads it from no list.
                var result = list.ResultFor(session.Version, OffersTasks(session, kind, servers).Count > 0);
                reply.Answer(request, session.Version.HasSessions() || !known.SaysHowLong ? result : known.HintAt(now, session.Links.IsTold(servers[0], kind)).Lower(result));
            }
            else
            {
                var result = list.ResultFor(session.Version, OffersTasks(session, kind, servers).Count > 0);
                var shown = ReferenceEquals(result, list.Result) ? list : ServerList.Of(kind, result);
                Page(request, reply, kind, [.. shown.Items.Select(item => shown.Raw(item).ToArray())], list.Hash[..12], known.HintAt(now, session.Links.IsTold(servers[0], kind)));
            }

            ReadAgain(session, servers, kind, reply.Access, now);
        }
        catch (Exception e)
        {
            Log.ListFailed(logger, e, kind);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to build the list.");
        }
    }

    /// <summary>Whether a request may have a server asked that is perhaps away. An account's server knows nobody but its people: no probe finds it back.</summary>
    public static bool MayLook(Upstream upstream) => upstream.NeedsAccount || upstream.Health.TryLook();

    /// <summary>
    /// A server that nothing certain is known of is asked, for a short while; what is certain is never waited for, and what the caller may not use never asked
    /// for. A server that is away is asked by few of those who want to know.
    /// </summary>
    public Task FirstLooksAsync(Session session, IReadOnlyList<Upstream> servers, ListKind kind, Access access)
    {
        List<Task>? looks = null;
        foreach (var upstream in servers)
        {
            if (access.Hides(upstream.Name) || views.IsKnown(session, upstream, kind))
            {
                continue;
            }

            if (!MayLook(upstream))
            {
                session.Lists.Missed(upstream, kind);
            }
            else
            {
                (looks ??= []).Add(session.Lists.LookAsync(upstream, kind));
            }
        }

        return looks is null ? Task.CompletedTask : Task.WhenAll(looks);
    }

    /// <summary>
    /// What is older than its server says that it may be is the answer all the same, and says that its time is up; it is read again behind it, where nobody
    /// would hear that it is another one by now.
    /// </summary>
    private void ReadAgain(Session session, IReadOnlyList<Upstream> servers, ListKind kind, Access access, DateTimeOffset now)
    {
        foreach (var upstream in servers)
        {
            if (!access.Hides(upstream.Name) && views.Known(session, upstream, kind) is { } known && known.IsOver(now))
            {
                session.Lists.ReadAgain(upstream, kind);
            }
        }
    }

    /// <summary>The servers whose tools the session's client may call as tasks that the gateway has.</summary>
    private IReadOnlyCollection<Upstream> OffersTasks(Session session, ListKind kind, IReadOnlyList<Upstream> servers) =>
        kind == ListKind.Tools && session.Version.HasTasks() ? [.. servers.Where(upstream => bridged.Has(session, upstream))] : [];

    /// <summary>Some clients write <c>"cursor":null</c> where they have none.</summary>
    public static bool HasCursor(Frame request) =>
        request.Envelope.Cursor.IsPresent && !request.Span(request.Envelope.Cursor).SequenceEqual("null"u8);

    /// <summary>One page. Cursors are the gateway's own, bound to what they page through.</summary>
    private static void Page(Frame request, Reply reply, ListKind kind, IReadOnlyList<byte[]> items, string hash, CacheHint hint)
    {
        var from = 0;
        if (HasCursor(request))
        {
            var cursor = request.Text(request.Envelope.Cursor);
            if (!cursor.StartsWith(hash + ".", StringComparison.Ordinal) || !int.TryParse(cursor.AsSpan(hash.Length + 1), out from) || from < 0 || from > items.Count)
            {
                reply.Refuse(request, JsonRpc.InvalidParams, "Unknown cursor: the list changed, or it is not from here. Begin again without one.");
                return;
            }
        }

        var body = new List<byte>(items.Skip(from).Take(PageSize).Sum(i => i.Length + 1) + 64);
        body.AddRange("{\""u8);
        body.AddRange(kind.KeyBytes());
        body.AddRange("\":["u8);
        var to = Math.Min(items.Count, from + PageSize);
        for (var i = from; i < to; i++)
        {
            if (i > from)
            {
                body.Add((byte)',');
            }

            body.AddRange(items[i]);
        }

        body.Add((byte)']');
        if (to < items.Count)
        {
            body.AddRange(Encoding.ASCII.GetBytes($",\"nextCursor\":\"{hash}.{to}\""));
        }

        body.AddRange(hint.More());
        body.Add((byte)'}');
        reply.Answer(request, body.ToArray());
    }

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Error, "Building the list of {Kind} failed.", EventName = "ListFailed")]
        public static partial void ListFailed(ILogger logger, Exception exception, ListKind kind);
    }
}
