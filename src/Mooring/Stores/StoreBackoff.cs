namespace Mooring.Stores;

/// <summary>How long to wait before a store that is away is tried again. Owned by the loop that tries.</summary>
internal sealed class StoreBackoff(Random random)
{
    /// <summary>The first wait is at least half of it: a restart of the database takes a second or so.</summary>
    internal static readonly TimeSpan First = TimeSpan.FromMilliseconds(200);

    /// <summary>No wait is longer, so that the gateway is back within seconds.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    private int _failures;

    /// <summary>Half to the whole of a wait that doubles: replicas that lost the database together do not come back together.</summary>
    public TimeSpan Next()
    {
        var wait = Math.Min(First.TotalSeconds * Math.Pow(2, _failures), Longest.TotalSeconds);
        _failures = Math.Min(_failures + 1, 16);
        return TimeSpan.FromSeconds(wait * (0.5 + (random.NextDouble() / 2)));
    }

    public void Reset() => _failures = 0;
}
