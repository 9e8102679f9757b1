using System.Diagnostics.Metrics;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>What is measured of the catalogue: how long ago each server last confirmed a list of its own, and how many of its names another one holds.</summary>
internal sealed class CatalogueMetrics
{
    private readonly Catalogue _catalogue;
    private readonly Names _names;
    private readonly UpstreamTable _upstreams;
    private readonly TimeProvider _time;

    public CatalogueMetrics(MooringMeter meter, Catalogue catalogue, Names names, UpstreamTable upstreams, TimeProvider time)
    {
        _catalogue = catalogue;
        _names = names;
        _upstreams = upstreams;
        _time = time;
        meter.Meter.CreateObservableGauge("mooring.catalogue.age", Measure, "s");
        meter.Meter.CreateObservableGauge("mooring.names.taken", MeasureTaken, "{name}");
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

    /// <summary>Those that clients see with a prefix although the server is to have none.</summary>
    private IEnumerable<Measurement<int>> MeasureTaken()
    {
        foreach (var upstream in _upstreams.All.Where(upstream => !upstream.HasPrefix))
        {
            yield return new Measurement<int>(Taken(upstream, ListKind.Tools) + Taken(upstream, ListKind.Prompts), new KeyValuePair<string, object?>("server", upstream.Name));
        }
    }

    private int Taken(Upstream upstream, ListKind kind) => _catalogue.NamesIn(upstream.Name, kind)
        .Count(name => _names.Holder(Names.KindIn(kind), Names.Fit(name)) is { } holder && holder != upstream.Name);
}
