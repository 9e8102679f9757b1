namespace Mooring.Chaos.Clients;

/// <summary>When the fault of a round keeps answers away whatever anybody does. The round begins and ends it, one at a time; any thread may ask.</summary>
/// <param name="time">The clock of who asks.</param>
internal sealed class FaultTimes(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly List<(long From, long To)> _over = [];
    private long? _began;

    /// <summary>Told of each beginning (true) and each end.</summary>
    public Action<bool>? Changed { get; set; }

    /// <summary>The fault lasts until what is returned is disposed.</summary>
    public IDisposable Begin()
    {
        lock (_gate)
        {
            _began = time.GetTimestamp();
        }

        Changed?.Invoke(true);
        return new Lasting(this);
    }

    /// <summary>How much of the time since then a fault lasted: nothing where all were over before.</summary>
    public TimeSpan Since(long start)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var sum = _over.Where(fault => fault.To > start).Aggregate(TimeSpan.Zero, (all, fault) => all + time.GetElapsedTime(Math.Max(fault.From, start), fault.To));
            return _began is { } began ? sum + time.GetElapsedTime(Math.Max(began, start), now) : sum;
        }
    }

    private void End()
    {
        lock (_gate)
        {
            if (_began is not { } began)
            {
                return;
            }

            _over.Add((began, time.GetTimestamp()));
            _began = null;
        }

        Changed?.Invoke(false);
    }

    private sealed class Lasting(FaultTimes times) : IDisposable
    {
        public void Dispose() => times.End();
    }
}
