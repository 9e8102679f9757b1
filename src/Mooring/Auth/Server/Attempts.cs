using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mooring.Auth.Server;

/// <summary>How often somebody may try something, in windows from the first try; each process counts for itself.</summary>
internal sealed class Attempts(TimeProvider time)
{
    /// <summary>Counters kept at most; when there are more, those of windows that are over go.</summary>
    private const int Most = 50_000;

    /// <summary>Looking through all of them takes a while, so not with each try.</summary>
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<(string What, string Who), Window> _windows = new();
    private long _swept = long.MinValue / 2;

    /// <returns>Null: it may be tried; else the seconds until it may.</returns>
    public int? TryTake(string what, string who, int limit, TimeSpan span)
    {
        var swept = Volatile.Read(ref _swept);
        if (_windows.Count > Most && time.GetElapsedTime(swept) >= SweepEvery && Interlocked.CompareExchange(ref _swept, time.GetTimestamp(), swept) == swept)
        {
            foreach (var (key, old) in _windows)
            {
                if (time.GetElapsedTime(old.Start) >= old.Span)
                {
                    _windows.TryRemove(key, out _);
                }
            }
        }

        var window = _windows.AddOrUpdate(
            (what, who),
            (_, now) => new Window(now, span, 1),
            (_, old, now) => time.GetElapsedTime(old.Start, now) >= old.Span ? new Window(now, span, 1) : old with { Count = old.Count + 1 },
            time.GetTimestamp());
        return window.Count <= limit ? null : SecondsLeft(window);
    }

    /// <summary>What was taken turned out not to count.</summary>
    public void GiveBack(string what, string who)
    {
        while (_windows.TryGetValue((what, who), out var window) && window.Count > 0 && !_windows.TryUpdate((what, who), window with { Count = window.Count - 1 }, window))
        {
        }
    }

    /// <summary>As <see cref="TryTake"/>, and nothing is counted.</summary>
    public int? WaitOf(string what, string who, int limit) =>
        _windows.TryGetValue((what, who), out var window) && window.Count >= limit && time.GetElapsedTime(window.Start) < window.Span ? SecondsLeft(window) : null;

    /// <summary>Whom an address stands for: whoever has one of IPv6 has the 2^64 around it too.</summary>
    public static string Who(IPAddress? address)
    {
        if (address is null)
        {
            return "";
        }

        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return plain.AddressFamily == AddressFamily.InterNetworkV6 ? Convert.ToHexString(plain.GetAddressBytes().AsSpan(0, 8)) : plain.ToString();
    }

    /// <summary>The network around an address that one customer is given at most: /24 of IPv4, /48 of IPv6 (RFC 6177).</summary>
    public static string NetworkOf(IPAddress? address)
    {
        if (address is null)
        {
            return "";
        }

        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Convert.ToHexString(plain.GetAddressBytes().AsSpan(0, plain.AddressFamily == AddressFamily.InterNetworkV6 ? 6 : 3));
    }

    private int SecondsLeft(Window window) => Math.Max(1, (int)Math.Ceiling((window.Span - time.GetElapsedTime(window.Start)).TotalSeconds));

    private readonly record struct Window(long Start, TimeSpan Span, int Count);
}
