namespace Mooring.Stores;

/// <summary>How what is asked of a store is measured, whichever of its sides it is asked of.</summary>
/// <param name="kind">The metric tag.</param>
internal abstract class Measured(string kind, StoreMetrics metrics, TimeProvider time)
{
    protected long Now => time.GetTimestamp();

    // The work is begun by the caller's own call, in the order of the calls; here it is only waited for.
    protected async Task ObserveAsync(string operation, long started, Task work)
    {
        try
        {
            await work;
        }
        catch (StoreException)
        {
            metrics.Failed(kind, operation);
            throw;
        }
        finally
        {
            metrics.Took(kind, operation, time.GetElapsedTime(started));
        }
    }

    protected async Task<T> ObserveAsync<T>(string operation, long started, Task<T> work)
    {
        await ObserveAsync(operation, started, (Task)work);
        return await work;
    }

    protected async ValueTask<T> ReadAsync<T>(string operation, long started, ValueTask<T> work)
    {
        try
        {
            return await work;
        }
        catch (StoreException)
        {
            metrics.Failed(kind, operation);
            throw;
        }
        finally
        {
            metrics.Took(kind, operation, time.GetElapsedTime(started));
        }
    }
}
