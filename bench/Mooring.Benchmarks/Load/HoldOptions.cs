namespace Mooring.Benchmarks.Load;

/// <param name="Url">The MCP endpoint, or with <see cref="Bare"/> any event stream.</param>
/// <param name="Streams">Streams that are read.</param>
/// <param name="Seconds">Time over which comments are counted once all are open; zero to measure memory only.</param>
internal sealed record HoldOptions(Uri Url, int Streams, double Seconds)
{
    /// <summary>Only a GET: no session.</summary>
    public bool Bare { get; init; }

    /// <summary>More streams, never read, each with a call beside it whose flood of events is never read.</summary>
    public int Stalled { get; init; }

    /// <summary>Name of the tool that floods.</summary>
    public string FloodTool { get; init; } = "flood";

    /// <summary>The server's process.</summary>
    public int? Pid { get; init; }

    /// <summary>Time between two comments on a stream as the server was told, jitter included: what comes later than this is late.</summary>
    public double LongestGap { get; init; } = double.PositiveInfinity;

    public Uri? Metrics { get; init; }

    /// <summary>Seconds for the server to come to rest after streams were opened or closed; longer than one keep-alive interval.</summary>
    public double Settle { get; init; } = 6;
}

/// <param name="Streams">Open and read.</param>
/// <param name="Failed">Could not be opened, or ended while held.</param>
/// <param name="FirstError">What the first one was.</param>
/// <param name="OpenSeconds">Time to open all.</param>
/// <param name="BytesPerStream">Growth of the server's resident memory by stream.</param>
/// <param name="ResidentMegabytes">After all are open.</param>
/// <param name="IdleProcessorMillisPerSecond">Of the server before the first stream.</param>
/// <param name="Comments">Counted in the measured time.</param>
/// <param name="ProcessorMillisPerRound">Processor time of the server, idle time taken off, for one comment on each of 10,000 streams.</param>
/// <param name="LateP99Millis">How much longer than the longest gap the clients waited, 99th of 100.</param>
/// <param name="LateMaxMillis">The worst.</param>
/// <param name="ServerLatenessP99Seconds">By the server's own metric (upper bound of its bucket).</param>
internal sealed record HoldResult(
    int Streams, int Failed, string? FirstError, double OpenSeconds, double? BytesPerStream, double? ResidentMegabytes,
    double? IdleProcessorMillisPerSecond, long Comments, double? ProcessorMillisPerRound,
    double? LateP99Millis, double? LateMaxMillis, double? ServerLatenessP99Seconds);
