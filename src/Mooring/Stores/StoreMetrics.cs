using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Stores;

/// <summary>What is counted of the store; both tags are fixed sets.</summary>
internal sealed class StoreMetrics
{
    private static readonly double[] Buckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly Histogram<double> _duration;
    private readonly Counter<long> _failures;

    public StoreMetrics(MooringMeter meter)
    {
        _duration = meter.Meter.CreateHistogram("mooring.store.duration", "s", advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
        _failures = meter.Meter.CreateCounter<long>("mooring.store.failures", "{failure}");
    }

    public void Took(string store, string operation, TimeSpan duration) =>
        _duration.Record(duration.TotalSeconds, new("store", store), new("operation", operation));

    public void Failed(string store, string operation) => _failures.Add(1, new("store", store), new("operation", operation));
}
