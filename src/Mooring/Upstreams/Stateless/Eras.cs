using System.Collections.Concurrent;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>Whether a server keeps sessions.</summary>
internal enum Era : byte
{
    /// <summary>Nobody has asked it yet, or its answer said nothing.</summary>
    Unknown,

    /// <summary>It begins with <c>initialize</c> (2025-11-25 and older).</summary>
    Sessions,

    /// <summary>Each request stands for itself (2026-07-28).</summary>
    Stateless,
}

/// <summary>What a server has shown itself to be, when it was asked or a link to it was opened.</summary>
/// <param name="Era">Whether it keeps sessions.</param>
/// <param name="Version">The newest protocol version that was negotiated with it, as on the wire; null where a release before found it out.</param>
/// <param name="Release">The version of the server itself (<c>serverInfo.version</c>); null where it says none.</param>
internal sealed record ShownEra(Era Era, string? Version = null, string? Release = null);

/// <summary>
/// What was found out of servers' eras (2026-07-28, basic/versioning, "Backward Compatibility"): asked once, and again where it turns out wrong. One with sessions may come to do without them and
/// not let anybody notice, since it still serves those who ask for one: it is asked again after a day, and when it has become another release, though not more than once in ten minutes:
/// replicas of two releases behind one address show now the one and now the other.
/// </summary>
internal sealed class Eras(TimeProvider time)
{
    /// <summary>How long a server counts as one with sessions that only gave no answer to the question whether it is one, or that has said so and shows another release since.</summary>
    public static readonly TimeSpan GuessLasts = TimeSpan.FromMinutes(10);

    /// <summary>How long it does that said so.</summary>
    private static readonly TimeSpan SessionsLast = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <summary>Something was found out for good, or for a day: whoever keeps it.</summary>
    public Action<Upstream, ShownEra>? Learnt { get; set; }

    public Era Of(Upstream upstream) => Find(upstream)?.Shown.Era ?? Era.Unknown;

    /// <summary>A server has shown what it is.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="era">What it is.</param>
    /// <param name="link">The link that was opened in that way.</param>
    public void Learn(Upstream upstream, Era era, Link link)
    {
        var shown = new ShownEra(era, era == Era.Stateless ? ProtocolVersions.Stateless : link.Version.ToWire(), ReleaseOf(link));
        if (Find(upstream) is not { IsGuess: false } known || known.Shown != shown)
        {
            Keep(upstream, shown);
        }
    }

    /// <summary>
    /// A link to a server was opened with a session, without asking it whether it could do without, since that was known. Another release than the one that was asked is asked
    /// when the next link is opened.
    /// </summary>
    public void Opened(Upstream upstream, Link link)
    {
        if (Find(upstream) is not { IsGuess: false, Shown.Era: Era.Sessions } known)
        {
            return;
        }

        var (version, release) = (link.Version.ToWire(), ReleaseOf(link));
        if (known.Shown.Release is not null && release != known.Shown.Release)
        {
            // What others have found out since stays.
            _known.TryUpdate(upstream.Name, known with { Until = known.At + GuessLasts }, known);
        }
        else if (known.Shown.Release != release || string.CompareOrdinal(version, known.Shown.Version) > 0)
        {
            // Clients of several versions use it; the newest says what it can do.
            var shown = new ShownEra(Era.Sessions, string.CompareOrdinal(version, known.Shown.Version) > 0 ? version : known.Shown.Version, release);
            if (_known.TryUpdate(upstream.Name, known with { Shown = shown }, known))
            {
                Learnt?.Invoke(upstream, shown);
            }
        }
    }

    /// <summary>It has sessions, but whether it could do without was not to be had: asked again after a while, and not kept.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="before">What was known of it when it was asked; what others have found out since stays.</param>
    public void Guess(Upstream upstream, Era before)
    {
        if (Of(upstream) == before)
        {
            var now = time.GetUtcNow();
            _known[upstream.Name] = new Known(upstream.Fingerprint, new ShownEra(Era.Sessions), now, now + GuessLasts, IsGuess: true);
        }
    }

    /// <summary>What a process before this one, or another one, has found out.</summary>
    /// <param name="server">Its name.</param>
    /// <param name="mark">Its place, or its fingerprint as releases before kept it.</param>
    /// <param name="shown">What it is.</param>
    /// <param name="at">When it was found out.</param>
    public void Restore(string server, string mark, ShownEra shown, DateTimeOffset at) => _known[server] = new Known(mark, shown, at, Until(shown.Era, at), IsGuess: false);

    private void Keep(Upstream upstream, ShownEra shown)
    {
        var now = time.GetUtcNow();
        _known[upstream.Name] = new Known(upstream.Fingerprint, shown, now, Until(shown.Era, now), IsGuess: false);
        Learnt?.Invoke(upstream, shown);
    }

    /// <summary>What is known of a server, as long as it counts.</summary>
    private Known? Find(Upstream upstream) =>
        _known.GetValueOrDefault(upstream.Name) is { } known && known.IsOf(upstream) && (known.Until is not { } until || time.GetUtcNow() < until) ? known : null;

    private static DateTimeOffset? Until(Era era, DateTimeOffset at) => era == Era.Sessions ? at + SessionsLast : null;

    /// <summary>What a server says to people with their accounts is not kept.</summary>
    private static string? ReleaseOf(Link link) =>
        link.Upstream.NeedsAccount ? null : JsonFields.String(JsonFields.Object(link.InitializeResult.Span, "serverInfo"u8), "version"u8);

    /// <param name="Mark">What the server was then: its fingerprint where this process asked it, else as in <see cref="Restore"/>. That it was started otherwise shows when it is wrong.</param>
    /// <param name="Shown">What it is.</param>
    /// <param name="At">When it was asked.</param>
    /// <param name="Until">How long that counts; null: for good.</param>
    /// <param name="IsGuess">Whether it did not say so itself.</param>
    private sealed record Known(string Mark, ShownEra Shown, DateTimeOffset At, DateTimeOffset? Until, bool IsGuess)
    {
        public bool IsOf(Upstream upstream) => Mark == upstream.Fingerprint || Mark == upstream.Place;
    }
}
