namespace Mooring.Stores.Memory;

/// <content>Limits that gateways on one memory store share.</content>
internal sealed partial class MemoryStore : IPermitStore
{
    private readonly Dictionary<string, (long Minute, int Used)> _permits = new(StringComparer.Ordinal);

    public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow().Ticks;
            var minute = now / TimeSpan.TicksPerMinute;
            var used = _permits.TryGetValue(key, out var window) && window.Minute == minute ? window.Used : 0;
            var granted = Math.Clamp(limit - used, 0, wanted);
            _permits[key] = (minute, used + granted);
            return Task.FromResult(new PermitLease(granted, TimeSpan.FromTicks(TimeSpan.TicksPerMinute - (now % TimeSpan.TicksPerMinute))));
        }
    }
}
