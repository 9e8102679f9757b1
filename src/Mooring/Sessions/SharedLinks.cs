using System.Collections.Concurrent;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Streams;
using Mooring.Telemetry;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;

namespace Mooring.Sessions;

/// <summary>
/// Links that belong to no single session: the one link of a server with scope <c>shared</c>, the watch on HTTP servers for list changes,
/// the first look at a server nobody knows yet, and the probes of servers that are away. They declare no client capabilities, because
/// nobody could say whose client a server's request is for.
/// </summary>
internal sealed partial class SharedLinks(UpstreamTable upstreams, Catalogue catalogue, Accounts accounts, ListFetcher fetcher, TaskOwners owners, TimeProvider time, ILogger<SharedLinks> logger)
    : ILinkOwner, IHeartbeatHandler, IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Upstream, Slot> _slots = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>What each server may have in the log, by its name.</summary>
    private readonly ConcurrentDictionary<string, LineLimit> _said = new(StringComparer.Ordinal);

    /// <summary>Set by the session table: tells every session that uses a server something.</summary>
    public Action<Upstream, Action<Session>>? Broadcast { get; set; }

    /// <summary>Has a first look at the servers in the background; nothing waits for it.</summary>
    public void Start()
    {
        foreach (var upstream in upstreams.All)
        {
            LookAsync(upstream).Unawaited(logger);
        }

        upstreams.Changed += gone =>
        {
            foreach (var upstream in gone)
            {
                DropAsync(upstream).Unawaited(logger);
            }

            foreach (var upstream in upstreams.All)
            {
                LookAsync(upstream).Unawaited(logger);
            }
        };
    }

    public ValueTask<(Link? Link, string Why)> GetAsync(Upstream upstream, CancellationToken cancel)
    {
        Task<(Link?, string)> opening;
        lock (_gate)
        {
            if (upstream.IsGone)
            {
                // Nobody would give it up.
                return ValueTask.FromResult<(Link?, string)>((null, SessionLinks.IsGone));
            }

            if (!_slots.TryGetValue(upstream, out var slot))
            {
                _slots.Add(upstream, slot = new Slot(time));
            }

            if (slot.Link is { IsUsable: true } link)
            {
                return ValueTask.FromResult<(Link?, string)>((link, ""));
            }

            opening = slot.Opening ??= OpenAsync(upstream, slot);
        }

        return new ValueTask<(Link?, string)>(opening.WaitAsync(cancel));
    }

    public async Task OnOpenedAsync(Link link, bool again)
    {
        if (link.Upstream.IsGone)
        {
            // What it says of itself is not to be taken for what another one of its name does.
            return;
        }

        link.Listen(after: null);
        if (!link.Upstream.NeedsAccount)
        {
            catalogue.Save(link.Upstream.Name, CatalogueKey.Base, link.InitializeResult);
        }

        if (!link.Upstream.IsPerSession)
        {
            await ApplyAsync(link);
        }

        if (again)
        {
            // Its server may have come back as another release.
            RefreshAllAsync(link).Unawaited(logger);
        }
    }

    public void OnClosed(Link link, string why)
    {
        bool atOnce;
        lock (_gate)
        {
            if (!_slots.TryGetValue(link.Upstream, out var slot) || !ReferenceEquals(slot.Link, link))
            {
                return;
            }

            slot.Link = null;
            atOnce = slot.Reopening.Lost();
        }

        if (atOnce && IsWatched(link.Upstream))
        {
            LookAsync(link.Upstream).Unawaited(logger);
        }
    }

    /// <summary>On behalf of all sessions: those whose own links hear as little are told by the catalogue.</summary>
    public Task LookForChangesAsync(Link link, CancellationToken cancel) => link.Upstream.NeedsAccount
        ? Task.CompletedTask
        : SilentLists.WatchAsync(
            link,
            async kind =>
            {
                var before = catalogue.Find(link.Upstream.Name, CatalogueKey.Base)[kind];
                return await RefreshAsync(link, kind) is { } list && before is not null && before.Hash != list.Hash;
            },
            time,
            cancel);

    /// <summary>Reads a list on a shared link.</summary>
    public async Task<ServerList?> RefreshAsync(Link link, ListKind kind)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30), time);
        var (list, why) = await fetcher.FetchAsync(link, kind, limit.Token);
        if (list is null)
        {
            Log.ListNotRead(logger, link.Upstream.Name, kind.Method(), why);
            return null;
        }

        return catalogue.Save(link.Upstream.Name, CatalogueKey.Base, list);
    }

    /// <summary>A session came back from the store: the link carries its level and subscriptions too, which a link opened meanwhile knows nothing of.</summary>
    public async Task JoinAsync(Upstream upstream, Session session)
    {
        bool opens;
        lock (_gate)
        {
            opens = _slots.GetValueOrDefault(upstream) is not { } slot || (slot.Link is not { IsUsable: true } && slot.Opening is null);
        }

        try
        {
            var (link, _) = await GetAsync(upstream, _stopping.Token);
            if (link is not null && !opens)
            {
                await ApplyAsync(link, session.SubscriptionsAt(upstream));
            }
        }
        catch (OperationCanceledException)
        {
            // The gateway stops.
        }
    }

    /// <summary>A session changed its level or subscriptions: the shared link follows.</summary>
    public async Task ReapplyAsync(Upstream upstream)
    {
        Link? link;
        lock (_gate)
        {
            link = _slots.GetValueOrDefault(upstream)?.Link;
        }

        if (link is not null)
        {
            await ApplyAsync(link);
        }
    }

    /// <summary>The last session that listened to a resource is gone.</summary>
    public async Task UnsubscribeAsync(Upstream upstream, string uri)
    {
        Link? link;
        lock (_gate)
        {
            link = _slots.GetValueOrDefault(upstream)?.Link;
        }

        if (link is not null)
        {
            await link.UnsubscribeAsync(uri, _stopping.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Link[] links;
        lock (_gate)
        {
            links = [.. _slots.Values.Select(s => s.Link).OfType<Link>()];
            _slots.Clear();
        }

        await Task.WhenAll(links.Select(link => link.DisposeAsync().AsTask()));
    }

    private async Task<(Link?, string)> OpenAsync(Upstream upstream, Slot slot)
    {
        await Task.Yield();
        try
        {
            var (link, why) = await upstream.OpenAsync(ParametersFor(upstream), this, known: null, _stopping.Token);
            lock (_gate)
            {
                // Taken out meanwhile, with the server or since nobody needed it: whoever did that had no link to give up yet.
                if (_slots.GetValueOrDefault(upstream) == slot)
                {
                    slot.Link = link;
                    slot.WasOpened |= link is not null;
                    return (link, why);
                }
            }

            if (link is not null)
            {
                await link.DisposeAsync();
            }

            return (null, upstream.IsGone ? SessionLinks.IsGone : "its link was given up meanwhile");
        }
        catch (OperationCanceledException)
        {
            return (null, "the gateway stops");
        }
        finally
        {
            lock (_gate)
            {
                slot.Opening = null;
                slot.Reopening.Tried(slot.Link);
            }
        }
    }

    private LinkParameters ParametersFor(Upstream upstream) =>
        Parameters() with { Authorizer = accounts.For(upstream, "", subject: null, () => null, () => null) };

    private static LinkParameters Parameters() => new(
        [
            .. "{\"protocolVersion\":"u8, .. JsonText.Quote(ProtocolVersions.Latest.ToWire()),
            .. ",\"capabilities\":{},\"clientInfo\":{\"name\":\"mooring\",\"version\":"u8, .. JsonText.Quote(MooringVersion.Current), .. "}}"u8,
        ],
        ProtocolVersions.Latest);

    private async Task LookAsync(Upstream upstream)
    {
        if (upstream.NeedsAccount)
        {
            // What it shows is each user's own.
            return;
        }

        var watches = IsWatched(upstream);
        if (!watches && catalogue.Knows(upstream.Name))
        {
            return;
        }

        try
        {
            var (link, _) = await GetAsync(upstream, _stopping.Token);
            if (link is null)
            {
                return;
            }

            await RefreshAllAsync(link);
            if (!watches)
            {
                await DropAsync(upstream);
            }
        }
        catch (OperationCanceledException)
        {
            // The gateway stops.
        }
    }

    private async Task DropAsync(Upstream upstream)
    {
        Link? link;
        lock (_gate)
        {
            link = _slots.Remove(upstream, out var slot) ? slot.Link : null;
        }

        if (link is not null)
        {
            await link.DisposeAsync();
        }
    }

    private async Task RefreshAllAsync(Link link)
    {
        foreach (var kind in ListKinds.All)
        {
            await RefreshAsync(link, kind);
        }
    }

    /// <summary>The most verbose level and all subscriptions of the sessions that share the link.</summary>
    private Task ApplyAsync(Link link)
    {
        var uris = new HashSet<string>(StringComparer.Ordinal);
        Broadcast?.Invoke(link.Upstream, session => uris.UnionWith(session.SubscriptionsAt(link.Upstream)));
        return ApplyAsync(link, uris);
    }

    private Task ApplyAsync(Link link, IEnumerable<string> uris)
    {
        string? level = null;
        Broadcast?.Invoke(link.Upstream, session => level = LogLevels.MoreVerbose(level, session.Record.LogLevel));
        return link.ApplyAsync(level, uris, _stopping.Token);
    }

    private sealed class Slot(TimeProvider time)
    {
        public Link? Link { get; set; }

        /// <summary>When it is opened again without a call.</summary>
        public Reopening Reopening { get; } = new(time);

        /// <summary>Whether there ever was a link.</summary>
        public bool WasOpened { get; set; }

        public Task<(Link?, string)>? Opening { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(510, LogLevel.Warning, "{Method} of server {Server} could not be read: {Why}", EventName = "SharedListNotRead")]
        public static partial void ListNotRead(ILogger logger, string server, string method, string why);

        [LoggerMessage(512, LogLevel.Error, "Probing server {Server} failed; it is tried again.", EventName = "ProbeFailed")]
        public static partial void ProbeFailed(ILogger logger, Exception exception, string server);

        [LoggerMessage(511, LogLevel.Information, "Server {Server} says: {Message}", EventName = "SharedServerSaid")]
        public static partial void ServerSaid(ILogger logger, string server, string message);

        [LoggerMessage(514, LogLevel.Warning, "Server {Server} says too much: {Count} of its log messages were left out.", EventName = "SharedServerLeftOut")]
        public static partial void LeftOut(ILogger logger, string server, long count);
    }
}
