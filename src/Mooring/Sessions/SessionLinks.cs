using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// One session's links to servers, opened when first needed and replaced when lost, without the client noticing. Hears what the servers
/// say on them and passes it on to the client.
/// </summary>
internal sealed partial class SessionLinks(Session session, SessionServices services) : ILinkOwner, IAsyncDisposable
{
    private readonly Lock _gate = new();
    private List<Slot>? _slots;
    private Task<IReadOnlyList<LinkRecord>>? _known;
    private bool _disposed;

    /// <summary>The key under which this session shares lists with others.</summary>
    public string Key(Upstream upstream) =>
        upstream.IsPerSession ? CatalogueKey.Of(session.Version, session.Record.InitializeParams.Span) : CatalogueKey.Base;

    /// <summary>What this session's own link to the server has shown; null while it has shown nothing.</summary>
    public ServerLists? Lists(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream))?.Lists;
        }
    }

    /// <summary>A usable link to the server.</summary>
    /// <returns>The link, or why there is none in words.</returns>
    public ValueTask<(Link? Link, string Why)> GetAsync(Upstream upstream, CancellationToken cancel)
    {
        if (!upstream.IsPerSession)
        {
            return services.Shared.GetAsync(upstream, cancel);
        }

        Task<(Link?, string)> opening;
        lock (_gate)
        {
            if (_disposed)
            {
                return ValueTask.FromResult<(Link?, string)>((null, "the session ended"));
            }

            var slot = SlotLocked(upstream);
            if (slot.Link is { IsUsable: true } link)
            {
                return ValueTask.FromResult<(Link?, string)>((link, ""));
            }

            opening = slot.Opening ??= OpenAsync(slot);
        }

        return new ValueTask<(Link?, string)>(opening.WaitAsync(cancel));
    }

    /// <summary>Links that are open now.</summary>
    public IReadOnlyList<Link> Open
    {
        get
        {
            lock (_gate)
            {
                return _slots is null ? [] : [.. _slots.Select(s => s.Link).OfType<Link>().Where(l => l.IsUsable)];
            }
        }
    }

    /// <summary>Asks a server that nothing is known of for a list. Requests at once share the looking; the client that did not wait for it is told when it is done.</summary>
    public Task LookAsync(Upstream upstream, ListKind kind)
    {
        lock (_gate)
        {
            var looks = SlotLocked(upstream).Looks;
            return looks[(int)kind] ??= LookOnceAsync(upstream, kind, looks);
        }
    }

    /// <summary>Gives up the links to servers that are no longer configured.</summary>
    public async Task DropAsync(IReadOnlyList<Upstream> gone)
    {
        List<Link> links = [];
        lock (_gate)
        {
            foreach (var slot in _slots?.Where(s => gone.Contains(s.Upstream)).ToList() ?? [])
            {
                _slots!.Remove(slot);
                if (slot.Link is { } link)
                {
                    links.Add(link);
                }
            }
        }

        foreach (var link in links)
        {
            await link.DisposeAsync();
        }
    }

    public async Task OnOpenedAsync(Link link, bool again)
    {
        services.Catalogue.Save(link.Upstream.Name, Key(link.Upstream), link.InitializeResult);
        if (again)
        {
            services.UpstreamMetrics.Reinitialized(link.Upstream.Name, "session_lost");
        }

        await ApplyAsync(link);
        await SaveAsync(link);
        _ = RefreshAllAsync(link);
    }

    public void OnClosed(Link link, string why)
    {
        lock (_gate)
        {
            var slot = _slots?.Find(s => ReferenceEquals(s.Link, link));
            if (slot is null)
            {
                // Given up already, or never opened.
                return;
            }

            slot.Link = null;
        }

        foreach (var line in session.Questions.Forget(link))
        {
            session.Outbox.Send(line);
        }

        if (session.Outbox.IsConnected || session.Record.Subscriptions.Count > 0)
        {
            // Somebody listens: what the server says of its own accord must not wait for the next call.
            _ = GetAsync(link.Upstream, CancellationToken.None).AsTask();
        }
    }

    /// <summary>The gateway stops, the session does not: what the next process can go on with stays open at the server.</summary>
    public async Task CloseForStopAsync()
    {
        foreach (var link in Open.Where(l => l.SessionId is null))
        {
            await link.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<Slot> slots;
        lock (_gate)
        {
            _disposed = true;
            slots = _slots ?? [];
            _slots = null;
        }

        foreach (var slot in slots)
        {
            if (slot.Link is { } link)
            {
                await link.DisposeAsync();
            }
        }
    }

    private async Task LookOnceAsync(Upstream upstream, ListKind kind, Task?[] looks)
    {
        await Task.Yield();
        var started = services.Time.GetTimestamp();
        try
        {
            var (link, _) = await GetAsync(upstream, CancellationToken.None);
            if (link is null)
            {
                return;
            }

            var list = upstream.IsPerSession ? await RefreshAsync(link, kind, CancellationToken.None) : await services.Shared.RefreshAsync(link, kind);
            if (list is not null && services.Time.GetElapsedTime(started) >= services.Config.Current.Calls.FirstListWait)
            {
                session.Outbox.SendListChanged(kind.Changed());
            }
        }
        finally
        {
            lock (_gate)
            {
                looks[(int)kind] = null;
            }
        }
    }

    private Slot SlotLocked(Upstream upstream)
    {
        _slots ??= new List<Slot>(1);
        var slot = _slots.Find(s => ReferenceEquals(s.Upstream, upstream));
        if (slot is null)
        {
            _slots.Add(slot = new Slot(upstream));
        }

        return slot;
    }

    private async Task<(Link?, string)> OpenAsync(Slot slot)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.Yield();
        try
        {
            var known = (await KnownAsync()).FirstOrDefault(l => l.Server == slot.Upstream.Name && l.Fingerprint == slot.Upstream.Fingerprint);
            var (link, why) = await slot.Upstream.OpenAsync(Parameters(), this, slot.WasOpened ? null : known, CancellationToken.None);
            lock (_gate)
            {
                slot.Link = link;
                slot.WasOpened |= link is not null;
                if (!_disposed)
                {
                    return (link, why);
                }
            }

            if (link is not null)
            {
                await link.DisposeAsync();
            }

            return (null, "the session ended");
        }
        finally
        {
            lock (_gate)
            {
                slot.Opening = null;
            }
        }
    }

    /// <summary>What a process before this one had open for this session.</summary>
    private async Task<IReadOnlyList<LinkRecord>> KnownAsync()
    {
        try
        {
            return await (_known ??= services.Store.FindLinksAsync(session.Id, CancellationToken.None));
        }
        catch (StoreException)
        {
            // Without the record the server gets a new session; nothing the client would notice.
            _known = null;
            return [];
        }
    }

    private LinkParameters Parameters()
    {
        var raw = session.Record.InitializeParams.Span;
        var version = JsonText.Quote(session.Version.ToWire());
        if (raw.IsEmpty)
        {
            return new LinkParameters(
                [.. "{\"protocolVersion\":"u8, .. version, .. ",\"capabilities\":{},\"clientInfo\":{\"name\":\"mooring\",\"version\":\"0\"}}"u8], session.Version);
        }

        var at = JsonFields.Find(raw, "protocolVersion"u8);
        return new LinkParameters(
            at.IsPresent ? JsonFields.Splice(raw, at, version) : JsonFields.Prepend(raw, [.. "\"protocolVersion\":"u8, .. version]), session.Version);
    }

    /// <summary>Log level and subscriptions of the session belong to every link it ever has.</summary>
    private async Task ApplyAsync(Link link)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10), services.Time);
        var record = session.Record;
        var capabilities = link.InitializeResult;
        if (record.LogLevel is { } level && JsonFields.Find(capabilities.Span, "capabilities"u8, "logging"u8).IsPresent)
        {
            await link.RequestAsync("logging/setLevel", [.. "{\"level\":"u8, .. JsonText.Quote(level), (byte)'}'], limit.Token);
        }

        foreach (var uri in record.Subscriptions)
        {
            if (services.Views.ServerOf(session, uri) is { } place && ReferenceEquals(place.Upstream, link.Upstream))
            {
                await link.RequestAsync("resources/subscribe", [.. "{\"uri\":"u8, .. JsonText.Quote(place.Uri), (byte)'}'], limit.Token);
            }
        }
    }

    private async Task SaveAsync(Link link)
    {
        if (link.SessionId is null)
        {
            return;
        }

        try
        {
            await services.Store.SaveLinkAsync(new LinkRecord
            {
                SessionId = session.Id,
                Server = link.Upstream.Name,
                UpstreamSessionId = link.SessionId,
                Version = link.Version.ToWire(),
                InitializeResult = link.InitializeResult,
                Fingerprint = link.Upstream.Fingerprint,
            });
        }
        catch (StoreException e)
        {
            // After a restart the server gets a new session instead; that is all that is lost.
            Log.LinkNotKept(services.Logger, e, link.Upstream.Name);
        }
    }

    private async Task RefreshAllAsync(Link link)
    {
        foreach (var kind in ListKinds.All)
        {
            await RefreshAsync(link, kind, CancellationToken.None);
        }
    }

    private async Task<ServerList?> RefreshAsync(Link link, ListKind kind, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30), services.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var (list, why) = await ListFetcher.FetchAsync(link, kind, both.Token);
        if (list is null)
        {
            Log.ListNotRead(services.Logger, link.Upstream.Name, kind.Method(), why);
            return null;
        }

        var key = Key(link.Upstream);
        var shared = services.Catalogue.Find(link.Upstream.Name, key)[kind];
        lock (_gate)
        {
            // From here on this session hears of changes below, and not also with those that have no link of their own.
            var slot = SlotLocked(link.Upstream);
            slot.Lists ??= ServerLists.Nothing with { InitializeResult = link.InitializeResult };
        }

        list = services.Catalogue.Save(link.Upstream.Name, key, list);
        ServerList? shown;
        lock (_gate)
        {
            var slot = SlotLocked(link.Upstream);
            shown = slot.Lists?[kind] ?? shared;
            slot.Lists = slot.Lists!.With(list);
        }

        if (shown is not null && shown.Hash != list.Hash)
        {
            session.Outbox.SendListChanged(kind.Changed());
        }

        return list;
    }

    private sealed class Slot(Upstream upstream)
    {
        public Upstream Upstream => upstream;

        public Link? Link { get; set; }

        public Task<(Link?, string)>? Opening { get; set; }

        /// <summary>Whether this process ever had a link; what the store knows is then older.</summary>
        public bool WasOpened { get; set; }

        public ServerLists? Lists { get; set; }

        public Task?[] Looks { get; } = new Task?[ListKinds.Count];
    }

    private static partial class Log
    {
        [LoggerMessage(500, LogLevel.Warning, "The link to server {Server} was not kept in the store.", EventName = "LinkNotKept")]
        public static partial void LinkNotKept(ILogger logger, Exception exception, string server);

        [LoggerMessage(501, LogLevel.Warning, "{Method} of server {Server} could not be read: {Why}", EventName = "ListNotRead")]
        public static partial void ListNotRead(ILogger logger, string server, string method, string why);

        [LoggerMessage(502, LogLevel.Warning, "Server {Server} asks the client too much at once; the request was refused.", EventName = "TooManyQuestions")]
        public static partial void TooManyQuestions(ILogger logger, string server);
    }
}
