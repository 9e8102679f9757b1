namespace Mooring.Benchmarks.Scaling;

/// <summary>What follows for so many streams, from the constants and from what clients are taken to do (docs/scaling.md says so in words).</summary>
internal sealed class Model(Constants constants, double streams)
{
    public const double KeepAliveSeconds = 15;
    public const double TouchSeconds = 30;
    public const double ReadSeconds = 60;
    public const double SecondsPerCall = 60;
    public const double DurableShare = 0.5;
    public const double SecondsPerEvent = 60;
    public const double KeptSeconds = 15 * 60;
    public const double SecondsPerStream = 30 * 60;
    public const double SecondsPerSession = 8 * 3600;

    public const double GatewayBytes = 16e9;
    public const double GatewayCores = 4;
    public const double StreamsPerGateway = 50_000;
    public const double DatabaseCores = 32;

    /// <summary>Of what there is, so that one gateway in three can be missing.</summary>
    public const double Usable = 0.6;

    private const double Micro = 1e-6;

    public double Streams => streams;

    public double Memory => streams * (constants.Session.GatewayBytes + constants.Link.GatewayBytes + constants.Stream.GatewayBytes);

    public double KeepAliveCores => streams / KeepAliveSeconds * constants.Comment.GatewayMicros * Micro;

    public double CallCores => CallsPerSecond * ((DurableShare * constants.DurableCall.GatewayMicros) + ((1 - DurableShare) * constants.FastCall.GatewayMicros)) * Micro;

    /// <summary>Everything else that goes to the store.</summary>
    public double StoreCores => Work(cost => cost.GatewayMicros);

    public double ByMemory => Math.Ceiling(Memory / (GatewayBytes * Usable));

    public double ByKeepAlive => Math.Ceiling(KeepAliveCores / (GatewayCores * Usable));

    public double ByCalls => Math.Ceiling(CallCores / (GatewayCores * Usable));

    public double ByLimit => Math.Ceiling(streams / StreamsPerGateway);

    /// <summary>At least two; processor time adds up.</summary>
    public double Gateways => new[] { 2, ByMemory, ByLimit, Math.Ceiling((KeepAliveCores + CallCores + StoreCores) / (GatewayCores * Usable)) }.Max();

    public double CallsPerSecond => streams / SecondsPerCall;

    public double EventsPerSecond => streams / SecondsPerEvent;

    public double Rows =>
        (streams * (constants.Session.DatabaseBytes + constants.Link.DatabaseBytes + constants.Stream.DatabaseBytes)) + (EventsPerSecond * KeptSeconds * constants.Event.DatabaseBytes);

    public double DatabaseCoresNeeded => Work(cost => cost.DatabaseMicros) + (CallsPerSecond * DurableShare * constants.DurableCall.DatabaseMicros * Micro) + NotifyCores;

    public double LogPerSecond => (Work(cost => cost.LogBytes) / Micro) + (CallsPerSecond * DurableShare * constants.DurableCall.LogBytes);

    /// <summary>Rows changed per second; a durable call is the row of its stream, its first event, its answer and its end.</summary>
    public double WritesPerSecond =>
        (streams / TouchSeconds) + EventsPerSecond + (CallsPerSecond * DurableShare * 4) + (2 * streams / SecondsPerStream) + (3 * streams / SecondsPerSession);

    /// <summary>Each stream that is opened is told to every other replica.</summary>
    public double WakeUpsPerSecond => streams / SecondsPerStream * (Gateways - 1);

    /// <summary>All of one opening go with one commit.</summary>
    public double NotifiesPerSecond => streams / SecondsPerStream;

    /// <summary>Every listener is woken by every commit with a NOTIFY, whatever its channel.</summary>
    public double NotifyCores => NotifiesPerSecond * (One.DatabaseMicros + ((Gateways - 1) * (Many.DatabaseMicros - One.DatabaseMicros) / (Many.Listeners - One.Listeners))) * Micro;

    public double Databases => Math.Max(1, Math.Ceiling(DatabaseCoresNeeded / (DatabaseCores * Usable)));

    private NotifyRate One => constants.Notify.Last(rate => rate.Listeners == 1);

    private NotifyRate Many => constants.Notify[^1];

    private double Work(Func<Cost, double> of) => Micro * (
        (streams / TouchSeconds * of(constants.Touch)) +
        (((streams / ReadSeconds) + CallsPerSecond) * of(constants.Read)) +
        (EventsPerSecond * of(constants.Event)) +
        (streams / SecondsPerStream * of(constants.Stream)) +
        (streams / SecondsPerSession * (of(constants.Session) + of(constants.Link))));
}
