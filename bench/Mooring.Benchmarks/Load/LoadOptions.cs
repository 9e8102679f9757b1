namespace Mooring.Benchmarks.Load;

/// <param name="Url">The MCP endpoint, http on loopback.</param>
/// <param name="Workers">Sessions, connections and calls at a time.</param>
/// <param name="Seconds">Measured time.</param>
/// <param name="WarmUp">Seconds before it, with the same load.</param>
/// <param name="Tool">Tool that answers with its text.</param>
internal sealed record LoadOptions(Uri Url, int Workers, double Seconds, double WarmUp, string Tool)
{
    /// <summary>A server that has no sessions.</summary>
    public bool Sessionless { get; init; }

    /// <summary>Requests of 2026-07-28, which say with each who asks and what it can do.</summary>
    public bool Stateless { get; init; }

    /// <summary>What each request shows of who asks; null: nothing.</summary>
    public string? Token { get; init; }

    /// <summary>Process whose processor time per call is reported.</summary>
    public int? Pid { get; init; }

    /// <summary>Where the gateway shows its metrics; allocated bytes per call are read there.</summary>
    public Uri? Metrics { get; init; }
}

/// <param name="CallsPerSecond">Answered right, in the measured time.</param>
/// <param name="P50">Microseconds from the first byte of a request to the last byte of its answer.</param>
/// <param name="P99">Same.</param>
/// <param name="Calls">Answered right.</param>
/// <param name="EventStreams">Of these, answered as an event stream.</param>
/// <param name="Errors">Answered wrong, or not.</param>
/// <param name="FirstError">What the first one was.</param>
/// <param name="ProcessorMicrosPerCall">User and system time of the process looked at.</param>
/// <param name="AllocatedBytesPerCall">Whole process, all threads.</param>
internal sealed record LoadResult(
    double CallsPerSecond, double P50, double P99, long Calls, long EventStreams, long Errors, string? FirstError,
    double? ProcessorMicrosPerCall, double? AllocatedBytesPerCall);
