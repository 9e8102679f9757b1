using System.Globalization;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>
/// What was heard from a server, on its way into a log: each event names the one before it, and the store takes it only as that one's successor.
/// So it does not matter who else hears it, or for how long this process was taken for dead; what is refused is heard again from where the log is.
/// </content>
internal sealed partial class SessionLinks
{
    /// <summary>Kind of signal: session, server and hearer; what that one heard from there was refused at another replica.</summary>
    public const string UnheardSignal = "unheard";

    private int _hearings;

    /// <summary>Begins to listen after the last event that is in a log.</summary>
    private void Listen(Link link, IReadOnlyList<LinkRecord> records)
    {
        var heard = records.FirstOrDefault(r => r.Server == link.Upstream.Name && r.UpstreamSessionId == link.SessionId)?.Heard;
        lock (_gate)
        {
            var slot = SlotLocked(link.Upstream);
            if (heard is null && slot.Hearing is { Last.Length: > 0 } before && before.Session == link.SessionId)
            {
                // What this process heard first is still on its way into a log.
                heard = before.Last;
            }

            var number = string.Create(CultureInfo.InvariantCulture, $"{++_hearings}");
            slot.Hearing = new Hearing($"{services.Peers.Name}.{number}") { Session = link.SessionId, Last = heard ?? "" };
        }

        link.Listen(heard);
    }

    /// <summary>Passes on what a server said of its own accord.</summary>
    private void Tell(Link link, byte[] line, EventOrigin? origin)
    {
        if (origin is null || !services.Peers.IsShared)
        {
            session.Outbox.Send(line, origin);
            return;
        }

        if (HearingOf(link, origin) is not { } hearing)
        {
            // This listening is over, and what it still hears is heard again by the next.
            return;
        }

        // What there was no room for does not count: the next one takes its place.
        if (session.Outbox.Send(line, origin with { After = hearing.Last, Hearer = hearing.Name }))
        {
            hearing.Last = origin.EventId;
        }
    }

    public void OnPrimed(Link link, EventOrigin origin)
    {
        if (HearingOf(link, origin) is not { Last: "" } hearing)
        {
            return;
        }

        hearing.Last = origin.EventId;
        bool isSaved;
        lock (_gate)
        {
            var slot = SlotLocked(link.Upstream);
            slot.Primed = origin;
            isSaved = slot.IsSaved;
        }

        if (isSaved)
        {
            KeepAsync(link).Unawaited(services.Logger);
        }
    }

    /// <summary>What was heard from a server did not come into a log: whoever heard it asks for it again.</summary>
    public void Unheard(EventOrigin origin) => Unheard(origin.Server, origin.Hearer ?? "", origin.After);

    /// <inheritdoc cref="Unheard(EventOrigin)"/>
    /// <param name="server">The server.</param>
    /// <param name="hearer">Who heard it.</param>
    /// <param name="after">What that one had passed on before, where it is known.</param>
    public void Unheard(string server, string hearer, string? after = null)
    {
        Link? link = null;
        lock (_gate)
        {
            if (_slots?.Find(s => s.Upstream.Name == server && s.Hearing is { IsOver: false } hearing && hearing.Name == hearer) is { } slot)
            {
                // Again with the next look, a second from now at most, from where the log is then.
                slot.Hearing!.IsOver = true;
                slot.Hearing.Last = after ?? slot.Hearing.Last;
                (link, slot.Home) = (slot.Link, null);
            }
        }

        if (link is not null)
        {
            link.StopListeningAsync().Unawaited(services.Logger);
        }
        else if (hearer.Split('.')[0] is { Length: > 0 } replica && replica != services.Peers.Name)
        {
            services.Peers.Signal(replica, UnheardSignal, $"{session.Id} {server} {hearer}");
        }
    }

    private Hearing? HearingOf(Link link, EventOrigin origin)
    {
        lock (_gate)
        {
            if (SlotLocked(link.Upstream).Hearing is not { IsOver: false } hearing)
            {
                return null;
            }

            if (hearing.Session != origin.UpstreamSessionId)
            {
                // The server lost the session before; in the new one nothing was heard.
                (hearing.Session, hearing.Last) = (origin.UpstreamSessionId, "");
            }

            return hearing;
        }
    }

    /// <summary>One listening, from its begin to its end.</summary>
    private sealed class Hearing(string name)
    {
        /// <summary>The replica, a dot, and a number that tells it from the others of this session.</summary>
        public string Name => name;

        /// <summary>The server's session.</summary>
        public required string? Session { get; set; }

        /// <summary>The server's id of what was passed on last; empty: nothing.</summary>
        public required string Last { get; set; }

        /// <summary>Whether something of it was refused: what it still hears is heard again by the next.</summary>
        public bool IsOver { get; set; }
    }
}
