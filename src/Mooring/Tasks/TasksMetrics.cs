using System.Diagnostics.Metrics;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Tasks;

/// <summary>What is counted of held tasks.</summary>
internal sealed class TasksMetrics
{
    private readonly Counter<long> _created;
    private readonly Counter<long> _ended;

    public TasksMetrics(MooringMeter meter)
    {
        _created = meter.Meter.CreateCounter<long>("mooring.tasks.created", "{task}");
        _ended = meter.Meter.CreateCounter<long>("mooring.tasks.ended", "{task}");
    }

    public void Created(string server) => _created.Add(1, new KeyValuePair<string, object?>("server", server));

    public void Ended(string server, HeldTaskStatus status) => _ended.Add(1, new("server", server), new("status", status.ToWire()));
}
