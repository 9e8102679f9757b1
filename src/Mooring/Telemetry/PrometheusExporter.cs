using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;

namespace Mooring.Telemetry;

/// <summary>
/// The gateway's own metrics and the runtime's in the Prometheus text format. Listens from the first scrape on its making; hosts that
/// export by OpenTelemetry read the same meter and need none of this.
/// </summary>
internal sealed class PrometheusExporter : IDisposable
{
    private static readonly string[] Meters = [MooringMeter.Name, "System.Runtime", "Microsoft.AspNetCore.Server.Kestrel"];

    private readonly ConcurrentDictionary<Instrument, MetricSeries> _series = new();
    private readonly MeterListener _listener = new();
    private readonly Lock _scraping = new();

    public PrometheusExporter(IMeterFactory factory)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            // A listener hears the whole process, where there may be a second gateway; meters of nobody are the runtime's.
            if (Array.IndexOf(Meters, instrument.Meter.Name) >= 0 && (instrument.Meter.Scope is null || ReferenceEquals(instrument.Meter.Scope, factory)))
            {
                listener.EnableMeasurementEvents(instrument, _series.GetOrAdd(instrument, static i => new MetricSeries(i)));
            }
        };
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, series) => ((MetricSeries)series!).Record(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, series) => ((MetricSeries)series!).Record(value, tags));
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, series) => ((MetricSeries)series!).Record(value, tags));
        _listener.Start();
    }

    public string Scrape()
    {
        // One at a time: observable instruments are read during the scrape.
        lock (_scraping)
        {
            foreach (var series in _series.Values)
            {
                series.BeginLook();
            }

            _listener.RecordObservableInstruments();
            var text = new StringBuilder(16 * 1024);
            foreach (var series in _series.Values.OrderBy(s => s.Name, StringComparer.Ordinal))
            {
                series.Write(text);
            }

            return text.ToString();
        }
    }

    public void Dispose() => _listener.Dispose();
}
