namespace Mooring.Benchmarks.Scaling;

/// <summary>One measured constant. NaN where it does not apply or was not measured.</summary>
/// <param name="What">The unit of work.</param>
/// <param name="GatewayBytes">Resident memory it takes in a gateway while it lasts.</param>
/// <param name="GatewayMicros">Processor time of the gateways.</param>
/// <param name="DatabaseBytes">Rows and their indexes while it lasts.</param>
/// <param name="DatabaseMicros">Processor time of PostgreSQL.</param>
/// <param name="LogBytes">Written ahead by PostgreSQL.</param>
internal sealed record Cost(
    string What, double GatewayBytes = double.NaN, double GatewayMicros = double.NaN, double DatabaseBytes = double.NaN, double DatabaseMicros = double.NaN,
    double LogBytes = double.NaN);

/// <summary>Everything that the model is made of.</summary>
internal sealed class Constants
{
    public required Cost Session { get; init; }

    public required Cost Link { get; init; }

    public required Cost Stream { get; init; }

    public required Cost Comment { get; init; }

    public required Cost FastCall { get; init; }

    public required Cost DurableCall { get; init; }

    public required Cost Event { get; init; }

    public required Cost Touch { get; init; }

    public required Cost Read { get; init; }

    public required Cost Letter { get; init; }

    public required Cost CallElsewhere { get; init; }

    public required Cost WakeUp { get; init; }

    /// <summary>Wake-ups with one commit each, as fast as PostgreSQL takes them.</summary>
    public required IReadOnlyList<NotifyRate> Notify { get; init; }

    /// <summary>Milliseconds of a call to a process on standard streams: p50 at its home and through another replica.</summary>
    public required (double Home, double Elsewhere) Latency { get; init; }

    /// <summary>Milliseconds of a call: p50 fast and durable.</summary>
    public required (double Fast, double Durable) Commit { get; init; }

    public IEnumerable<Cost> All => [Session, Link, Stream, Comment, FastCall, DurableCall, Event, Touch, Read, Letter, WakeUp, CallElsewhere];
}

/// <param name="Senders">Connections that send at a time.</param>
/// <param name="Listeners">Connections that listen, one of them to what is sent.</param>
/// <param name="PerSecond">Wake-ups.</param>
/// <param name="DatabaseMicros">Processor time of PostgreSQL for one.</param>
internal sealed record NotifyRate(int Senders, int Listeners, double PerSecond, double DatabaseMicros);
