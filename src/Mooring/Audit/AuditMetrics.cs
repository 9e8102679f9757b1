using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Audit;

/// <summary>What is counted of the audit log.</summary>
internal sealed class AuditMetrics(MooringMeter meter)
{
    private readonly Counter<long> _lines = meter.Meter.CreateCounter<long>("mooring.audit.lines", "{line}");
    private readonly Counter<long> _lost = meter.Meter.CreateCounter<long>("mooring.audit.lost", "{line}");

    public void Written(int lines) => _lines.Add(lines);

    public void Lost(long lines) => _lost.Add(lines);
}
