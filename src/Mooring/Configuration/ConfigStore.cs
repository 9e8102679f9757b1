namespace Mooring.Configuration;

/// <summary>
/// Holds the configuration in force. Made once by the host; whoever needs a setting reads <see cref="Current"/> when needed and
/// keeps no copy, or asks to be told with <see cref="OnChange"/>. Safe to use from any thread.
/// </summary>
/// <param name="config">What holds until the first reload.</param>
/// <param name="dataDirectory">The directory for everything that must outlive the process.</param>
public sealed class ConfigStore(MooringConfig config, string dataDirectory)
{
    private readonly Lock _gate = new();
    private volatile MooringConfig _current = config;
    private Action<MooringConfig, MooringConfig>[] _callbacks = [];

    public MooringConfig Current => _current;

    /// <summary>Fixed for the life of the process.</summary>
    public string DataDirectory { get; } = dataDirectory;

    /// <summary>Calls <paramref name="callback"/> with the old and the new snapshot after each change, one change at a time, until the result is disposed.</summary>
    public IDisposable OnChange(Action<MooringConfig, MooringConfig> callback)
    {
        lock (_gate)
        {
            _callbacks = [.. _callbacks, callback];
        }

        return new Subscription(this, callback);
    }

    /// <summary>Puts the new snapshot in force and tells everyone. Called by one caller at a time.</summary>
    /// <exception cref="AggregateException">Some callbacks failed; the others were called all the same and the snapshot is in force.</exception>
    public void Replace(MooringConfig next)
    {
        Action<MooringConfig, MooringConfig>[] callbacks;
        MooringConfig old;
        lock (_gate)
        {
            (old, _current, callbacks) = (_current, next, _callbacks);
        }

        List<Exception>? failures = null;
        foreach (var callback in callbacks)
        {
            try
            {
                callback(old, next);
            }
            catch (Exception e)
            {
                (failures ??= []).Add(e);
            }
        }

        if (failures is not null)
        {
            throw new AggregateException("A part of the gateway could not take over the new configuration.", failures);
        }
    }

    private sealed class Subscription(ConfigStore store, Action<MooringConfig, MooringConfig> callback) : IDisposable
    {
        public void Dispose()
        {
            lock (store._gate)
            {
                store._callbacks = [.. store._callbacks.Where(c => c != callback)];
            }
        }
    }
}
