using System.Globalization;

namespace Mooring.Protocol;

/// <summary>How long a result may be kept, and whether anybody else may be shown it (2026-07-28, server/utilities/caching).</summary>
/// <param name="TtlMs">Milliseconds; 0: it may be another one at once.</param>
/// <param name="IsPublic">Whether nothing of it is one person's own.</param>
internal readonly record struct CacheHint(long TtlMs, bool IsPublic)
{
    /// <summary>Nothing is promised: what counts where a server does not say, as those of older versions cannot.</summary>
    public static CacheHint None => default;

    /// <summary>What a result says of itself, raw JSON; each of both counts by itself.</summary>
    public static CacheHint Of(ReadOnlySpan<byte> result)
    {
        var ttl = JsonFields.Find(result, "ttlMs"u8);
        return new CacheHint(
            ttl.IsPresent && JsonRpc.TryReadId(result.Slice(ttl.Start, ttl.Length), out var ms) ? Math.Max(0, ms) : 0,
            JsonFields.String(result, "cacheScope"u8) == "public");
    }

    /// <summary>What holds for several together: the shortest time, and public only where all are.</summary>
    public static CacheHint Least(IEnumerable<CacheHint> parts)
    {
        CacheHint? least = null;
        foreach (var part in parts)
        {
            least = least is { } all ? new CacheHint(Math.Min(all.TtlMs, part.TtlMs), all.IsPublic && part.IsPublic) : part;
        }

        return least ?? None;
    }

    /// <summary>What is left of it after a while; never less than nothing. Of clocks that do not agree a result may be younger than none.</summary>
    public CacheHint After(TimeSpan age) => age <= TimeSpan.Zero ? this : this with { TtlMs = Math.Max(0, TtlMs - (long)Math.Ceiling(age.TotalMilliseconds)) };

    /// <summary>A result that says this much, where it says anything; what it does not say is not put in.</summary>
    public byte[] Lower(byte[] result)
    {
        if (JsonFields.Find(result, "ttlMs"u8) is { IsPresent: true } ttl)
        {
            result = JsonFields.Splice(result, ttl, System.Text.Encoding.ASCII.GetBytes(TtlMs.ToString(CultureInfo.InvariantCulture)));
        }

        return !IsPublic && JsonFields.Find(result, "cacheScope"u8) is { IsPresent: true } scope ? JsonFields.Splice(result, scope, "\"private\""u8) : result;
    }

    /// <summary>As properties that come after others, each with its comma before it; empty where nothing is promised.</summary>
    public byte[] More() => this == None
        ? []
        : System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $",\"ttlMs\":{TtlMs},\"cacheScope\":\"{(IsPublic ? "public" : "private")}\""));
}
