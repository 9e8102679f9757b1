namespace Mooring.Stores.DynamoDb;

/// <summary>
/// The service's clock, from the time that stands in each of its answers: the only one that all replicas share. That has whole seconds, so this
/// machine's own clock counts as long as it is not further off.
/// </summary>
internal sealed class DynamoClock(TimeProvider time)
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    private long _offset;

    public DateTimeOffset Now => time.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));

    /// <param name="said">The time that an answer carried.</param>
    public void Said(DateTimeOffset said)
    {
        if ((said - Now).Duration() > Tolerance)
        {
            var offset = said - time.GetUtcNow();
            Interlocked.Exchange(ref _offset, offset.Duration() <= Tolerance ? 0 : offset.Ticks);
        }
    }
}
