using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Auth;

/// <summary>What is counted of who may come in; never who.</summary>
internal sealed class AuthMetrics(MooringMeter meter)
{
    private readonly Counter<long> _refused = meter.Meter.CreateCounter<long>("mooring.auth.refused", "{request}");

    /// <param name="reason"><c>missing</c>, <c>unknown</c>, <c>expired</c>, <c>audience</c>, <c>scope</c>, <c>store_away</c>, <c>keys_away</c> or <c>too_many</c>.</param>
    public void Refused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));
}
