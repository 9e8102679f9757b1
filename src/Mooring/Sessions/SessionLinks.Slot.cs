using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>What is known of one server in this session.</content>
internal sealed partial class SessionLinks
{
    /// <summary>Why the last link to a server could not be opened, where that was for want of its person's account.</summary>
    public AccountNeeded? Needs(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream))?.Authorizer?.Needed;
        }
    }

    /// <summary>What a server said of itself on the last link of the session's own, raw JSON; empty: none was opened here.</summary>
    public ReadOnlyMemory<byte> Said(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream))?.Said ?? default;
        }
    }

    /// <summary>Whether a server may keep something for this session that is lost with its links: a process of its own, or a session at the server.</summary>
    public bool HoldState
    {
        get
        {
            lock (_gate)
            {
                return _slots?.Exists(s => s.Link is { IsUsable: true, HoldsState: true }) == true;
            }
        }
    }

    /// <summary>When it said that.</summary>
    public DateTimeOffset SaidAt(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots?.Find(s => ReferenceEquals(s.Upstream, upstream))?.SaidAt ?? default;
        }
    }

    /// <summary>Whether a change of one of a server's lists would be told to this session: on its own link, here or at another replica, or on the one that all share.</summary>
    public bool IsTold(Upstream upstream, ListKind kind)
    {
        if (IsHeardElsewhere(upstream))
        {
            return true;
        }

        Link? link = null;
        if (upstream.IsPerSession)
        {
            lock (_gate)
            {
                link = _slots?.Find(s => ReferenceEquals(s.Upstream, upstream)) is { Link: { IsUsable: true } own } ? own : null;
            }
        }

        return link?.Tells(kind.Capability()) ?? services.Shared.Tells(upstream, kind);
    }

    private sealed class Slot(Upstream upstream, LinkAuthorizer? authorizer, TimeProvider time)
    {
        /// <summary>Whose token goes with requests to the server.</summary>
        public LinkAuthorizer? Authorizer => authorizer;

        public Upstream Upstream => upstream;

        public Link? Link { get; set; }

        /// <summary>When it is opened again without a call.</summary>
        public Reopening Reopening { get; } = new(time);

        public ReadOnlyMemory<byte> Said { get; set; }

        public DateTimeOffset SaidAt { get; set; }

        public Task<(Link?, string)>? Opening { get; set; }

        /// <summary>The replica that has the link, where it cannot move, or else the one that listens to the server; null while that is not known.</summary>
        public string? Home { get; set; }

        /// <summary>The link for which the home was last claimed, to listen on it.</summary>
        public Link? Listener { get; set; }

        /// <summary>Whether another replica was the last to listen to the server.</summary>
        public bool IsHeardElsewhere { get; set; }

        /// <summary>How far this process has heard the server, where it listens.</summary>
        public Hearing? Hearing { get; set; }

        /// <summary>The place that the server named before it said anything.</summary>
        public EventOrigin? Primed { get; set; }

        /// <summary>The session's record as of which the link has level and subscriptions.</summary>
        public SessionRecord? Applied { get; set; }

        /// <summary>Whether the store was told of the link.</summary>
        public bool IsSaved { get; set; }

        /// <summary>Whether there was something to keep while another replica listened, or nobody knew which.</summary>
        public bool IsUnsaved { get; set; }

        /// <summary>The last keeping of it, which the next one waits for.</summary>
        public Task Keeping { get; set; } = Task.CompletedTask;

        /// <summary>Whether it is being asked who listens.</summary>
        public bool IsClaiming { get; set; }

        /// <summary>Whether this process ever had a link; what the store knows is then older.</summary>
        public bool WasOpened { get; set; }

        /// <summary>Whether the link being opened goes on with a session that its server knows from before a restart.</summary>
        public bool IsResuming { get; set; }
    }
}
