namespace Mooring.Stores.Memory;

/// <content>Limits that gateways on one memory store share.</content>
internal sealed partial class MemoryStore : IPermitStore
{
    private readonly Dictionary<string, (long Minute, int Used)> _permits = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Key, string Replica), (int Streams, long Stamp)> _openStreams = [];

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

    public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own)
    {
        lock (_gate)
        {
            foreach (var (key, streams) in own)
            {
                if (Lives(replica) && (!_openStreams.TryGetValue((key, replica), out var said) || said.Stamp < stamp))
                {
                    _openStreams[(key, replica)] = (streams, stamp);
                }
            }

            return Task.FromResult<IReadOnlyList<long>>(
                [.. own.Select(share => _openStreams.Where(o => o.Key.Key == share.Key && o.Key.Replica != replica && Lives(o.Key.Replica)).Sum(o => (long)o.Value.Streams))]);
        }

        bool Lives(string name) => _replicas.TryGetValue(name, out var known) && known.TakenBy is null && known.Expires > time.GetUtcNow();
    }

    public Task<int> CountSessionsOfAsync(string issuer, string subject, int most)
    {
        lock (_gate)
        {
            return Task.FromResult(Math.Min(most, _sessions.Values.Count(s => s.Record.Issuer == issuer && s.Record.Subject == subject)));
        }
    }

    public Task<int> CountSessionsUpToAsync(int most)
    {
        lock (_gate)
        {
            return Task.FromResult(Math.Min(most, _sessions.Count));
        }
    }
}
