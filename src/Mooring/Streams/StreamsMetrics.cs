using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Streams;

/// <summary>What is counted of streams; tags are fixed sets.</summary>
internal sealed class StreamsMetrics
{
    private static readonly double[] DurationBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];

    private readonly UpDownCounter<long> _active;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _keepAlives;
    private readonly Counter<long> _keepAliveFailures;
    private readonly Histogram<double> _lateness;
    private readonly Counter<long> _replayed;
    private readonly Counter<long> _dropped;

    public StreamsMetrics(MooringMeter meter)
    {
        _active = meter.Meter.CreateUpDownCounter<long>("mooring.streams.active", "{stream}");
        _duration = meter.Meter.CreateHistogram("mooring.stream.duration", "s",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = DurationBuckets });
        _keepAlives = meter.Meter.CreateCounter<long>("mooring.keepalive.sent", "{comment}");
        _keepAliveFailures = meter.Meter.CreateCounter<long>("mooring.keepalive.failed", "{comment}");
        _lateness = meter.Meter.CreateHistogram<double>("mooring.keepalive.lateness", "s");
        _replayed = meter.Meter.CreateCounter<long>("mooring.events.replayed", "{event}");
        _dropped = meter.Meter.CreateCounter<long>("mooring.events.dropped", "{event}");
    }

    public void Opened(string transport, string era) => _active.Add(1, Transport(transport), Era(era));

    public void Closed(string transport, string era, StreamReason reason, ClosedBy by, TimeSpan duration)
    {
        _active.Add(-1, Transport(transport), Era(era));
        _duration.Record(duration.TotalSeconds, Transport(transport), new("reason", reason.ToTag()), new("closed_by", by.ToTag()));
    }

    public void KeepAlive(string transport, TimeSpan late)
    {
        _keepAlives.Add(1, Transport(transport));
        _lateness.Record(late.TotalSeconds);
    }

    public void KeepAliveFailed(string transport) => _keepAliveFailures.Add(1, Transport(transport));

    public void Replayed(string transport, int events) => _replayed.Add(events, Transport(transport));

    /// <summary>A message that had nowhere to wait: no stream, no event id, or a full backlog.</summary>
    public void Dropped(string reason) => _dropped.Add(1, new KeyValuePair<string, object?>("reason", reason));

    private static KeyValuePair<string, object?> Era(string era) => new("era", era);

    private static KeyValuePair<string, object?> Transport(string transport) => new("transport", transport);
}
