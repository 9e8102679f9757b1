using System.Diagnostics.Metrics;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>What is measured of the catalogue: how long ago each server last confirmed a list of its own.</summary>
internal sealed class CatalogueMetrics
{
    private readonly Catalogue _catalogue;
    private readonly UpstreamTable _upstreams;
    private readonly TimeProvider _time;

    public CatalogueMetrics(MooringMeter meter, Catalogue catalogue, UpstreamTable upstreams, TimeProvider time)
    {
        _catalogue = catalogue;
        _upstreams = upstreams;
        _time = time;
        meter.Meter.CreateObservableGauge("mooring.catalogue.age", Measure, "s");
    }

    private IEnumerable<Measurement<double>> Measure()
    {
        foreach (var upstream in _upstreams.All)
        {
            // A server that nobody ever saw has nothing that could be old.
            if (_catalogue.Confirmed(upstream.Name) is { } at)
            {
                yield return new Measurement<double>(Math.Max(0, (_time.GetUtcNow() - at).TotalSeconds), new KeyValuePair<string, object?>("server", upstream.Name));
            }
        }
    }
}
