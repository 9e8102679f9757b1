namespace Mooring.Stores.DynamoDb;

/// <summary>How long until a listener looks again: 200 ms after traffic, half as long again after each look in vain, 2 s at most. Owned by its loop.</summary>
internal sealed class DynamoPace(Random random)
{
    public static readonly TimeSpan Busy = TimeSpan.FromMilliseconds(200);

    public static readonly TimeSpan Idle = TimeSpan.FromSeconds(2);

    private double _seconds = Busy.TotalSeconds;

    /// <summary>Nine tenths to the whole of it: replicas that were started together do not look together.</summary>
    public TimeSpan Next() => TimeSpan.FromSeconds(_seconds * (0.9 + (random.NextDouble() / 10)));

    public void InVain() => _seconds = Math.Min(_seconds * 1.5, Idle.TotalSeconds);

    public void Traffic() => _seconds = Busy.TotalSeconds;
}
