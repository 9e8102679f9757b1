using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Calls;

/// <summary>What is counted of calls.</summary>
internal sealed class CallsMetrics
{
    private static readonly double[] Buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];

    private readonly Histogram<double> _duration;
    private readonly Counter<long> _replayed;
    private readonly Counter<long> _unknown;
    private readonly Counter<long> _undeliverable;

    public CallsMetrics(MooringMeter meter)
    {
        _duration = meter.Meter.CreateHistogram("mooring.call.duration", "s", advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
        _replayed = meter.Meter.CreateCounter<long>("mooring.calls.replayed", "{call}");
        _unknown = meter.Meter.CreateCounter<long>("mooring.calls.unknown_outcome", "{call}");
        _undeliverable = meter.Meter.CreateCounter<long>("mooring.calls.undeliverable", "{call}");
    }

    public void Ended(string server, string outcome, TimeSpan duration)
    {
        if (_duration.Enabled)
        {
            _duration.Record(duration.TotalSeconds, new("server", server), new("outcome", outcome));
        }
    }

    public void Replayed(string server, string reason) => _replayed.Add(1, new("server", server), new("reason", reason));

    public void UnknownOutcome(string server, string reason) => _unknown.Add(1, new("server", server), new("reason", reason));

    /// <summary>An answer whose client had left without an event id to come back with.</summary>
    public void Undeliverable() => _undeliverable.Add(1);
}
