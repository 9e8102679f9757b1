using System.Diagnostics.Metrics;
using Mooring.Telemetry;

namespace Mooring.Vault;

/// <summary>What is counted of the vault; tags are names of the configuration and a fixed set.</summary>
internal sealed class VaultMetrics(MooringMeter meter)
{
    private readonly Counter<long> _refreshes = meter.Meter.CreateCounter<long>("mooring.vault.refreshes", "{refresh}");

    private readonly Counter<long> _exchanges = meter.Meter.CreateCounter<long>("mooring.vault.exchanges", "{exchange}");

    public void Refreshed(string provider, TokenOutcome outcome) => _refreshes.Add(1, new("provider", provider), new("outcome", Word(outcome)));

    public void Exchanged(string server, TokenOutcome outcome) => _exchanges.Add(1, new("server", server), new("outcome", Word(outcome)));

    private static string Word(TokenOutcome outcome) => outcome switch
    {
        TokenOutcome.Granted => "granted",
        TokenOutcome.Refused => "refused",
        _ => "failed",
    };
}
