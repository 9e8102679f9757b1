using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <summary>What is counted of sessions.</summary>
internal sealed class SessionMetrics(MooringMeter meter)
{
    private readonly UpDownCounter<long> _active = meter.Meter.CreateUpDownCounter<long>("mooring.sessions.active", "{session}");

    public void Opened() => _active.Add(1, new KeyValuePair<string, object?>("era", "session"));

    public void Closed() => _active.Add(-1, new KeyValuePair<string, object?>("era", "session"));
}
