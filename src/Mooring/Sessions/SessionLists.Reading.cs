using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>How lists are read on the session's own links, and which of what was read counts.</content>
internal sealed partial class SessionLists
{
    /// <summary>Times that a list is read for one who asks, where it is said to be another one each time that it was read.</summary>
    private const int MostLooks = 3;

    /// <summary>How long a list is waited for that the server may show otherwise by now, where the one from before can be shown: it is the same far more often than not.</summary>
    private static readonly TimeSpan MostForKnown = TimeSpan.FromSeconds(1);

    private async Task LookUntilCertainAsync(Upstream upstream, ListState state, ListKind kind, Look look)
    {
        await Task.Yield();
        ServerList? list = null;
        var before = Before(upstream, kind);
        try
        {
            var looks = 0;
            do
            {
                list = await LookOnceAsync(upstream, state, kind);
            }
            while (list is not null && ++looks < MostLooks && !IsAnswered(upstream, state, kind));
        }
        catch (Exception e)
        {
            // Of one server: a client that asks for the lists of all is shown the others'.
            Log.LookFailed(services.Logger, e, upstream.Name, kind.Method());
        }
        finally
        {
            string? leftWith;
            lock (_gate)
            {
                // Whoever stops waiting from here on is answered with what was read; where nothing was, with what was known.
                leftWith = state.LeftWith ?? (look.WasLeft || list is null ? before?.Hash ?? "" : null);
                state.LeftWith = list is null ? leftWith : null;
                state.Look = ReferenceEquals(state.Look, look) ? null : state.Look;
            }

            if (leftWith is not null && list is not null && list.Hash != leftWith)
            {
                session.Outbox.SendListChanged(kind.Changed());
            }
        }
    }

    /// <summary>What can be shown of a list while the server is asked for it.</summary>
    private ServerList? Before(Upstream upstream, ListKind kind) => Of(upstream)?[kind] ?? services.Catalogue.Find(upstream.Name, Key(upstream))[kind];

    /// <summary>Whether nothing was heard against the list while it was read. Whoever asks from then on does not share this look.</summary>
    private bool IsAnswered(Upstream upstream, ListState state, ListKind kind)
    {
        lock (_gate)
        {
            var isCertain = FindLocked(upstream)?.Lists?[kind] is null
                ? services.Catalogue.IsCertain(upstream.Name, Key(upstream), kind)
                : state.Doubted == 0;
            if (isCertain)
            {
                state.Look = null;
            }

            return isCertain;
        }
    }

    private async Task<ServerList?> LookOnceAsync(Upstream upstream, ListState state, ListKind kind)
    {
        var (link, _) = await session.Links.OpenAsync(upstream, CancellationToken.None);
        if (link is null)
        {
            return null;
        }

        return !upstream.IsPerSession ? await services.Shared.RefreshAsync(link, kind)
            : state.Reading is { IsCompleted: false } reading && await reading is { } read ? read
            : await ReadAsync(link, kind, isNew: !IsUsed(upstream));
    }

    /// <summary>Reads a list, and decides whether it is everybody's or this session's own.</summary>
    /// <param name="link">On which.</param>
    /// <param name="kind">Which.</param>
    /// <param name="isNew">Whether the session has done nothing there yet that could make the list its own.</param>
    /// <param name="tells">Whether the client is told where it was shown another one; not if it is told by whoever has it read.</param>
    private async Task<ServerList?> ReadAsync(Link link, ListKind kind, bool isNew, bool tells = true)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30), services.Time);
        var (list, why) = await services.Fetcher.FetchAsync(link, kind, limit.Token);
        if (list is null)
        {
            Log.ListNotRead(services.Logger, link.Upstream.Name, kind.Method(), why);
            return null;
        }

        var server = link.Upstream.Name;
        var key = Key(link.Upstream);
        ServerList? shown;
        bool isEverybodys;
        lock (_gate)
        {
            if (link.Parameters.Authorizer is { HasEnded: true })
            {
                // What another account shows: its person has another one by now, or none.
                return null;
            }

            var entry = EntryLocked(link.Upstream);
            var state = entry[kind];
            if (list.Asked < state.Taken)
            {
                // One that was asked for later came earlier.
                return entry.Lists?[kind];
            }

            state.Taken = list.Asked;
            isEverybodys = isNew && !state.WasAnnounced && key is not null;
            shown = entry.Lists?[kind] ?? (services.Catalogue.IsToldOutdated(server, key, kind) ? null : services.Catalogue.Find(server, key)[kind]);
            // From here on this session hears of changes below, and not also with those that have no link of their own.
            entry.Lists = (entry.Lists ?? ServerLists.Nothing with { InitializeResult = link.InitializeResult }).With(list);
            if (state.Doubted < list.Asked)
            {
                state.Doubted = 0;
            }
        }

        // Without a key it is this session's own, whoever else is shown the same.
        var shared = isEverybodys ? services.Catalogue.Save(server, key!, list) : services.Catalogue.Find(server, key)[kind];
        var isShared = shared?.Hash == list.Hash;
        var differs = shown?.Hash != list.Hash;
        if (!isShared && differs && !isEverybodys)
        {
            services.Catalogue.Doubt(server, key, kind);
        }

        bool wasOwn, isLookedAt;
        lock (_gate)
        {
            var entry = EntryLocked(link.Upstream);
            var state = entry[kind];
            wasOwn = state.IsOwn;
            isLookedAt = state.Look is not null;
            if (list.Asked == state.Taken)
            {
                if (isEverybodys && !isShared)
                {
                    // Others were shown a newer one meanwhile.
                    state.Doubted = Turn.Next();
                }

                var read = list;
                list = isShared ? shared! : services.Catalogue.OneOf(server, list);
                list.Seen(read);
                entry.Lists = entry.Lists!.With(list);
                state.IsOwn = !isShared;
            }
        }

        if (wasOwn != !isShared || (!isShared && differs))
        {
            await session.Links.SaveAsync(link);
        }

        if (tells && shown is not null && differs && !isLookedAt)
        {
            session.Outbox.SendListChanged(kind.Changed());
        }

        return list;
    }

    private static partial class Log
    {
        [LoggerMessage(501, LogLevel.Warning, "{Method} of server {Server} could not be read: {Why}", EventName = "ListNotRead")]
        public static partial void ListNotRead(ILogger logger, string server, string method, string why);

        [LoggerMessage(508, LogLevel.Error, "Looking for {Method} of server {Server} failed.", EventName = "ListLookFailed")]
        public static partial void LookFailed(ILogger logger, Exception exception, string server, string method);
    }
}
