namespace Mooring.Stores;

/// <summary>Says when a failure of the store is news: the first of an outage and then one per <see cref="Every"/>, whatever the number of requests that meet it.</summary>
internal sealed class StoreOutage(TimeProvider time)
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(30);

    private long _told = long.MinValue;

    public bool IsNews()
    {
        var now = time.GetTimestamp();
        var told = Volatile.Read(ref _told);
        return (told == long.MinValue || time.GetElapsedTime(told, now) >= Every) && Interlocked.CompareExchange(ref _told, now, told) == told;
    }
}
