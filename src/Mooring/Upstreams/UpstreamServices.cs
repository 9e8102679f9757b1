using Mooring.Configuration;
using Mooring.Upstreams.Stateless;
using Mooring.Upstreams.Stdio;

namespace Mooring.Upstreams;

/// <summary>What every upstream shares.</summary>
internal sealed class UpstreamServices(
    ConfigStore config, TimeProvider time, ProcessGuard guard, UpstreamMetrics metrics, ILoggerFactory loggers)
{
    public ConfigStore Config => config;

    public TimeProvider Time => time;

    public ProcessGuard Guard => guard;

    public UpstreamMetrics Metrics => metrics;

    /// <summary>What was found out of the servers' eras.</summary>
    public Eras Eras { get; } = new(time);

    public ILogger Logger { get; } = loggers.CreateLogger("Mooring.Upstreams");

    public ILogger<ServerProcess> ProcessLogger { get; } = loggers.CreateLogger<ServerProcess>();

    /// <summary>Another HTTP handler, for tests that have no sockets; null: real ones.</summary>
    public Func<HttpMessageHandler>? Handler { get; init; }
}
