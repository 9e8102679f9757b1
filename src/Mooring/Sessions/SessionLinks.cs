using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// One session's links to servers, opened when first needed and replaced when lost, without the client noticing. Hears what the servers
/// say on them and passes it on to the client.
/// </summary>
internal sealed partial class SessionLinks(Session session, SessionServices services) : ILinkOwner, IAsyncDisposable
{
    /// <summary>Kind of signal: a session; one of its links, or what that was shown, is another now.</summary>
    public const string KeptSignal = "link";

    /// <summary>Why there is no link to a server that is configured no longer, or otherwise by now.</summary>
    public const string IsGone = "it is no longer configured as it was";

    private readonly Lock _gate = new();
    private List<Slot>? _slots;
    private IReadOnlyList<LinkRecord> _known = [];
    private bool _disposed;

    /// <summary>Takes over what a process before this one had open for this session; what it had open with an account that is not the person's any more is nobody's. Before anything else.</summary>
    /// <exception cref="StoreException">It cannot be told whose accounts they are.</exception>
    public Task RestoreAsync(IReadOnlyList<LinkRecord> links, Func<LinkRecord, bool>? except = null) => RestoreAsync(links, still =>
    {
        _known = still;
        foreach (var link in still)
        {
            if (except?.Invoke(link) is not true && services.Upstreams.Find(link.Server) is { } upstream && IsTo(link, upstream))
            {
                session.Lists.Restore(upstream, link);
            }
        }
    });

    /// <summary>What a session that is back from the store wants to hear must not wait for its next call.</summary>
    /// <param name="listens">Whether its client listens now: to all that it used before, not only to what it subscribed to.</param>
    public void Resume(bool listens = false)
    {
        foreach (var upstream in services.Upstreams.All.Where(u => (session.Server is null || session.Server == u.Name) && session.MayHear(u)))
        {
            var subscribes = session.SubscriptionsAt(upstream).Any();
            if (upstream.IsPerSession && (subscribes || (listens && _known.Any(link => link.Server == upstream.Name))))
            {
                OpenAsync(upstream, CancellationToken.None).Unawaited(services.Logger);
            }
            else if (!listens && !upstream.IsPerSession && (subscribes || session.Record.LogLevel is not null))
            {
                services.Shared.JoinAsync(upstream, session).Unawaited(services.Logger);
            }
        }
    }

    /// <summary>A usable link to the server, for a request of the session.</summary>
    /// <returns>The link, or why there is none in words.</returns>
    public ValueTask<(Link? Link, string Why)> GetAsync(Upstream upstream, CancellationToken cancel)
    {
        if (upstream.IsPerSession)
        {
            session.Lists.Used(upstream);
        }

        return OpenAsync(upstream, cancel);
    }

    /// <summary>A usable link to the server, only to have it.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public ValueTask<(Link? Link, string Why)> OpenAsync(Upstream upstream, CancellationToken cancel)
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

            if (upstream.IsGone)
            {
                // Nobody would give it up.
                return ValueTask.FromResult<(Link?, string)>((null, IsGone));
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

    /// <summary>Whether this process hears on a link of the session's own what a server says of its own accord; another replica may be the one that does.</summary>
    public bool Hears(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream)) is { Link: { IsUsable: true, Hears: true } };
        }
    }

    /// <summary>Whether it is this replica's to say what becomes known of a server: it has the session's place there.</summary>
    public bool IsHome(Upstream upstream)
    {
        lock (_gate)
        {
            return services.Peers.IsShared && _slots?.Find(s => ReferenceEquals(s.Upstream, upstream))?.Home == services.Peers.Name;
        }
    }

    /// <summary>Whether another replica has that place, and tells what it hears.</summary>
    public bool IsHeardElsewhere(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream)) is { Home: { } home, Link.HasToListen: true } && home != services.Peers.Name && IsThere(home);
        }
    }

    /// <summary>Knows servers no more that are no longer configured.</summary>
    /// <returns>For each link to one, what gives it up. That may take seconds, and never fails: what goes wrong is logged.</returns>
    public IReadOnlyList<Func<Task>> Drop(IReadOnlyList<Upstream> gone)
    {
        List<Func<Task>> links = [];
        session.Lists.Drop(gone);
        lock (_gate)
        {
            foreach (var slot in _slots?.Where(s => gone.Contains(s.Upstream)).ToList() ?? [])
            {
                _slots!.Remove(slot);
                if (slot.Link is { } link)
                {
                    links.Add(() => GiveUpAsync(slot, link));
                }
            }
        }

        return links;
    }

    public async Task OnOpenedAsync(Link link, bool again)
    {
        if (link.Upstream.IsGone || IsOver(link))
        {
            // What it says of itself is not to be taken for what another one of its name does, nor what it says to one account for what it says to the next.
            return;
        }

        if (session.Lists.Key(link.Upstream) is { } key)
        {
            services.Catalogue.Save(link.Upstream.Name, key, link.InitializeResult);
        }

        bool isNew;
        lock (_gate)
        {
            if (IsOver(link))
            {
                return;
            }

            var slot = SlotLocked(link.Upstream);
            (slot.Said, slot.SaidAt) = (link.InitializeResult, link.Said);
            isNew = again || !slot.IsResuming;
            slot.IsResuming = false;
        }

        if (isNew)
        {
            // Before anything is heard: what is, is noted at what is kept of the link, and saved later it would be set back.
            await SaveAsync(link, isNew: true);
        }

        if (link.Upstream.IsGone || IsOver(link))
        {
            // Since it was saved: nobody is to listen to it.
            return;
        }

        ListenAsync(link).Unawaited(services.Logger);
        session.Lists.Opened(link, isNew);
        if (again)
        {
            services.UpstreamMetrics.Reinitialized(link.Upstream.Name, "session_lost");
        }

        await ApplyAsync(link);
        if (!isNew)
        {
            await SaveAsync(link);
        }
    }

    public void OnClosed(Link link, string why)
    {
        Slot? slot;
        bool atOnce;
        lock (_gate)
        {
            slot = _slots?.Find(s => ReferenceEquals(s.Link, link));
            if (slot is null)
            {
                // Given up already, which its client was told, or never opened.
                return;
            }

            slot.Link = null;
            atOnce = slot.Reopening.Lost();
        }

        ReleaseAsync([(slot, link)]).Unawaited(services.Logger);

        ForgetQuestions(link);
        if (atOnce && IsWanted(link.Upstream))
        {
            OpenAsync(link.Upstream, CancellationToken.None).Unawaited(services.Logger);
        }
    }

    /// <summary>The gateway stops, the session does not: what the next process can go on with stays open at the server.</summary>
    public Task CloseForStopAsync()
    {
        _stops = true;
        return Task.WhenAll(Open.Where(l => l.SessionId is null).Select(link => link.DisposeAsync().AsTask()));
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(TakeAll().Select(one => one.Link.DisposeAsync().AsTask()));

    private List<(Slot Slot, Link Link)> TakeAll()
    {
        lock (_gate)
        {
            _disposed = true;
            List<(Slot, Link)> all = _slots is null ? [] : [.. _slots.Where(s => s.Link is not null).Select(s => (s, s.Link!))];
            _slots = null;
            return all;
        }
    }

    private Slot SlotLocked(Upstream upstream)
    {
        _slots ??= new List<Slot>(1);
        var slot = _slots.Find(s => ReferenceEquals(s.Upstream, upstream));
        if (slot is null)
        {
            var authorizer = services.Accounts.For(upstream, session.Principal.Issuer, session.Principal.Subject, () => session.Shown, () => session.Person?.Shown);
            _slots.Add(slot = new Slot(upstream, authorizer, services.Time));
            if (authorizer is not null)
            {
                authorizer.Changed = () => LookAtAccountAsync(upstream, mayBeNews: false).Unawaited(services.Logger);
            }
        }

        return slot;
    }

    private async Task<(Link?, string)> OpenAsync(Slot slot)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.Yield();
        try
        {
            if (services.Peers.IsShared && slot.Upstream.HasHome && await HomeOfAsync(slot.Upstream) != services.Peers.Name)
            {
                return (null, "its process for this session runs at another gateway process");
            }

            var known = slot.WasOpened ? null : _known.FirstOrDefault(l => IsTo(l, slot.Upstream));
            slot.IsResuming = known is not null;
            if (known is not null && LinkingOf(known, slot.Upstream) is { } linking)
            {
                slot.Authorizer!.GoOnWith(linking);
            }

            var (link, why) = await slot.Upstream.OpenAsync(Parameters() with { Authorizer = slot.Authorizer }, this, known, CancellationToken.None);
            lock (_gate)
            {
                // Taken out meanwhile, by the session's end or with the server: whoever did that had no link to give up yet.
                if (_slots?.Contains(slot) == true)
                {
                    slot.Link = link;
                    slot.WasOpened |= link is not null;
                    return (link, why);
                }
            }

            if (link is not null)
            {
                if (slot.Home is not null && !_disposed)
                {
                    await ReleaseAsync([(slot, link)]);
                }

                await EndAsync(link);
            }

            return (null, _disposed ? "the session ended" : slot.Authorizer is { HasEnded: true } ? AccountNeeded.OfAnother.Why : IsGone);
        }
        catch (StoreException)
        {
            return (null, "the gateway's store is not reachable, so where its process runs could not be told");
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

    private LinkParameters Parameters()
    {
        var raw = session.Record.InitializeParams.Span;
        var version = JsonText.Quote(session.LinkVersion.ToWire());
        if (raw.IsEmpty)
        {
            return new LinkParameters(
                [.. "{\"protocolVersion\":"u8, .. version, .. ",\"capabilities\":{},\"clientInfo\":{\"name\":\"mooring\",\"version\":\"0\"}}"u8], session.LinkVersion);
        }

        var at = JsonFields.Find(raw, "protocolVersion"u8);
        return new LinkParameters(
            at.IsPresent ? JsonFields.Splice(raw, at, version) : JsonFields.Prepend(raw, [.. "\"protocolVersion\":"u8, .. version]), session.LinkVersion);
    }

    /// <summary>Log level and subscriptions of the session belong to every link it ever has.</summary>
    private Task ApplyAsync(Link link)
    {
        var record = session.Record;
        lock (_gate)
        {
            SlotLocked(link.Upstream).Applied = record;
        }

        return link.ApplyAsync(record.LogLevel, session.SubscriptionsAt(link.Upstream));
    }

    private static partial class Log
    {
        [LoggerMessage(500, LogLevel.Warning, "The link to server {Server} was not kept in the store; others may not be, too: {Reason}", EventName = "LinkNotKept")]
        public static partial void LinkNotKept(ILogger logger, string server, string reason);

        [LoggerMessage(504, LogLevel.Warning, "The links that another replica kept were not read: {Reason}", EventName = "LinksNotRead")]
        public static partial void LinksNotRead(ILogger logger, string reason);

        [LoggerMessage(506, LogLevel.Information, "The link to server {Server} is given up: another replica, which took this one for dead, has one of its own for the session.", EventName = "LinkGivenUp")]
        public static partial void GivenUp(ILogger logger, string server);

        [LoggerMessage(513, LogLevel.Information, "The link to server {Server} is given up: its person has another account there by now, or none.", EventName = "LinkOfAnotherAccount")]
        public static partial void AccountChanged(ILogger logger, string server);

        [LoggerMessage(509, LogLevel.Error, "Giving up the link to server {Server}, which is no longer configured as it was, failed.", EventName = "LinkNotGivenUp")]
        public static partial void NotGivenUp(ILogger logger, Exception exception, string server);

        [LoggerMessage(507, LogLevel.Error, "Asking the client about a task for server {Server} failed.", EventName = "TaskQuestionFailed")]
        public static partial void TaskQuestionFailed(ILogger logger, Exception exception, string server);

        [LoggerMessage(502, LogLevel.Warning, "Server {Server} asks the client too much at once; the request was refused.", EventName = "TooManyQuestions")]
        public static partial void TooManyQuestions(ILogger logger, string server);

        [LoggerMessage(505, LogLevel.Information, "Server {Server} asked {Method} while several requests of clients without sessions were under way, and nothing says for which of them; the request was refused.", EventName = "QuestionOfNobody")]
        public static partial void QuestionOfNobody(ILogger logger, string server, string method);
    }
}
