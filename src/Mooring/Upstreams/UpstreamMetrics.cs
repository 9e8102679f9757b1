using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Upstreams;

/// <summary>What is counted of servers.</summary>
internal sealed class UpstreamMetrics
{
    private readonly ConcurrentDictionary<string, UpstreamState> _states = new(StringComparer.Ordinal);
    private readonly Counter<long> _reinitialized;
    private readonly UpDownCounter<int> _listsCut;

    public UpstreamMetrics(MooringMeter meter)
    {
        _reinitialized = meter.Meter.CreateCounter<long>("mooring.upstream.reinitialized", "{session}");
        _listsCut = meter.Meter.CreateUpDownCounter<int>("mooring.upstream.lists_cut", "{list}");
        meter.Meter.CreateObservableGauge("mooring.upstream.state", Measure, "1");
    }

    public void State(string server, UpstreamState state) => _states[server] = state;

    public void Forget(string server) => _states.TryRemove(server, out _);

    public void Reinitialized(string server, string reason) =>
        _reinitialized.Add(1, new("server", server), new("reason", reason));

    /// <summary>A list of the server is longer than is read, or is no more.</summary>
    public void ListIsCut(string server, string list, bool isCut) => _listsCut.Add(isCut ? 1 : -1, new("server", server), new("list", list));

    private IEnumerable<Measurement<int>> Measure()
    {
        foreach (var (server, state) in _states)
        {
            foreach (var possible in Enum.GetValues<UpstreamState>())
            {
                yield return new Measurement<int>(possible == state ? 1 : 0, new("server", server), new("state", possible.ToString().ToLowerInvariant()));
            }
        }
    }
}
