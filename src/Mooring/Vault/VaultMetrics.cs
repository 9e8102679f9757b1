using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Vault;

/// <summary>What is counted of the vault; tags are names of the configuration and a fixed set.</summary>
internal sealed class VaultMetrics
{
    private readonly Counter<long> _refreshes;
    private readonly Counter<long> _exchanges;

    public VaultMetrics(MooringMeter meter)
    {
        _refreshes = meter.Meter.CreateCounter<long>("mooring.vault.refreshes", "{refresh}");
        _exchanges = meter.Meter.CreateCounter<long>("mooring.vault.exchanges", "{exchange}");
        meter.Meter.CreateObservableGauge("mooring.vault.key_age", MeasureKeyAge, "s");
    }

    /// <summary>How old the newest data key is, asked each time; above <c>vault.rotateAfter</c> the next one cannot be made. Null, or an answer of null: nothing is measured.</summary>
    public Func<TimeSpan?>? KeyAge { get; set; }

    public void Refreshed(string provider, TokenOutcome outcome) => _refreshes.Add(1, new("provider", provider), new("outcome", Word(outcome)));

    public void Exchanged(string server, TokenOutcome outcome) => _exchanges.Add(1, new("server", server), new("outcome", Word(outcome)));

    private IEnumerable<Measurement<double>> MeasureKeyAge() => KeyAge?.Invoke() is { } age ? [new Measurement<double>(Math.Max(0, age.TotalSeconds))] : [];

    private static string Word(TokenOutcome outcome) => outcome switch
    {
        TokenOutcome.Granted => "granted",
        TokenOutcome.Refused => "refused",
        _ => "failed",
    };
}
