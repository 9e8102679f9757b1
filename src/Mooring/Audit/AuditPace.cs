namespace Mooring.Audit;

/// <summary>
/// Keeps what costs nobody anything, as a made-up token does, from filling the audit log: the first of a kind is noted, and how many more there were is said with
/// the next one, ten minutes later or more. Otherwise whoever is not let in could push the lines of everybody else out of the files that are kept.
/// </summary>
internal sealed class AuditPace(TimeProvider time)
{
    /// <summary>The same as for tokens that are taken: after so long a rest one is noted anew.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromMinutes(10);

    /// <summary>Kinds that are told from each other at once: with more, the rest counts as one. So many lines in ten minutes are some megabytes.</summary>
    public const int Most = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string What, string Who), Window> _windows = [];
    private long _leftOut;
    private long _swept = long.MinValue / 2;

    /// <param name="what">What happened.</param>
    /// <param name="who">To whom.</param>
    /// <param name="leftOut">How many more there were since the last one that was noted.</param>
    /// <returns>Whether it is noted.</returns>
    public bool TryTake(string what, string who, out long leftOut)
    {
        var now = time.GetTimestamp();
        lock (_gate)
        {
            if (_windows.Count >= Most && time.GetElapsedTime(_swept, now) >= TimeSpan.FromSeconds(10))
            {
                Sweep(now);
            }

            var key = (what, who);
            if (_windows.Count >= Most && !_windows.ContainsKey(key))
            {
                key = ("", "");
            }

            if (_windows.TryGetValue(key, out var window) && time.GetElapsedTime(window.Start, now) < Span)
            {
                _windows[key] = window with { LeftOut = window.LeftOut + 1 };
                leftOut = 0;
                return false;
            }

            (leftOut, _leftOut) = (window.LeftOut + _leftOut, 0);
            _windows[key] = new Window(now, 0);
            return true;
        }
    }

    /// <summary>In words for the line; null where there is nothing to say.</summary>
    public static string? Say(long leftOut) => leftOut > 0 ? $"and {leftOut} before it that are not noted" : null;

    /// <summary>What those that go left out is said with the next line of any kind.</summary>
    private void Sweep(long now)
    {
        _swept = now;
        foreach (var (key, old) in _windows)
        {
            if (time.GetElapsedTime(old.Start, now) >= Span)
            {
                _leftOut += old.LeftOut;
                _windows.Remove(key);
            }
        }
    }

    private readonly record struct Window(long Start, long LeftOut);
}
