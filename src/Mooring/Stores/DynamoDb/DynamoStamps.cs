namespace Mooring.Stores.DynamoDb;

/// <summary>Numbers in the order in which events are appended, whatever time they carry: within a process for certain, between two as their clocks agree.</summary>
internal sealed class DynamoStamps(DynamoTable table)
{
    private long _last;

    public long Next()
    {
        while (true)
        {
            var last = Interlocked.Read(ref _last);
            var next = Math.Max(last + 1, table.Now.UtcTicks);
            if (Interlocked.CompareExchange(ref _last, next, last) == last)
            {
                return next;
            }
        }
    }
}
