using System.Diagnostics.Metrics;

namespace Mooring.Telemetry;

/// <summary>The one meter, named <c>Mooring</c>. The instruments of an area stand in that area's metrics class.</summary>
internal sealed class MooringMeter(IMeterFactory factory)
{
    public const string Name = "Mooring";

    public Meter Meter { get; } = factory.Create(Name);
}
