using System.Collections.Concurrent;

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

/// <summary>What was found out of servers' eras (2026-07-28, basic/versioning, "Backward Compatibility"): asked once, and again where it turns out wrong.</summary>
internal sealed class Eras(TimeProvider time)
{
    /// <summary>How long a server counts as one with sessions that only gave no answer to the question whether it is one.</summary>
    private static readonly TimeSpan GuessLasts = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <summary>Something was found out for good: whoever keeps it.</summary>
    public Action<Upstream, Era>? Learnt { get; set; }

    public Era Of(Upstream upstream) =>
        _known.GetValueOrDefault(upstream.Name) is { } known && known.IsOf(upstream) && (known.Until is not { } until || time.GetUtcNow() < until)
            ? known.Era
            : Era.Unknown;

    /// <summary>A server has shown what it is.</summary>
    public void Learn(Upstream upstream, Era era)
    {
        var isNews = _known.GetValueOrDefault(upstream.Name) is not { Until: null } before || before.Era != era || !before.IsOf(upstream);
        _known[upstream.Name] = new Known(upstream.Fingerprint, era, Until: null);
        if (isNews)
        {
            Learnt?.Invoke(upstream, era);
        }
    }

    /// <summary>It has sessions, but whether it could do without was not to be had: asked again after a while, and not kept.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="before">What was known of it when it was asked; what others have found out since stays.</param>
    public void Guess(Upstream upstream, Era before)
    {
        if (Of(upstream) == before)
        {
            _known[upstream.Name] = new Known(upstream.Fingerprint, Era.Sessions, time.GetUtcNow() + GuessLasts);
        }
    }

    /// <summary>What a process before this one, or another one, has found out.</summary>
    /// <param name="server">Its name.</param>
    /// <param name="mark">Its place, or its fingerprint as releases before kept it.</param>
    /// <param name="era">What it is.</param>
    public void Restore(string server, string mark, Era era) => _known[server] = new Known(mark, era, Until: null);

    /// <param name="Mark">What the server was then: its fingerprint where this process asked it, else as in <see cref="Restore"/>. That it was started otherwise shows when it is wrong.</param>
    /// <param name="Era">What it is.</param>
    /// <param name="Until">How long that counts; null: for good.</param>
    private sealed record Known(string Mark, Era Era, DateTimeOffset? Until)
    {
        public bool IsOf(Upstream upstream) => Mark == upstream.Fingerprint || Mark == upstream.Place;
    }
}
