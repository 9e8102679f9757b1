using System.Globalization;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>What a gateway counts, as its /metrics tells it.</summary>
internal static class MetricsPage
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    /// <summary>Waits until one stream of a transport has ended so, by the client.</summary>
    public static Task EndedAsync(GatewayProcess gateway, string transport, string reason)
    {
        var seen = "";
        return Wait.UntilAsync(
            async () =>
            {
                seen = await LinesAsync(gateway, "mooring_stream_duration_seconds_count");
                return seen.Contains($$"""{transport="{{transport}}",reason="{{reason}}",closed_by="client"} 1""", StringComparison.Ordinal);
            },
            () => $"no {transport} stream ended as {reason}:\n{seen}");
    }

    /// <summary>Waits until the store knows from where a call can be gone on with.</summary>
    public static Task PlaceKeptAsync(GatewayProcess gateway) => Wait.UntilAsync(
        async () => (await LinesAsync(gateway, "mooring_store_duration_seconds_count")).Contains("set_call_cursor", StringComparison.Ordinal),
        () => "the place of the call was not kept");

    /// <summary>The sum over all tags.</summary>
    public static async Task<double> SumAsync(GatewayProcess gateway, string name) =>
        (await LinesAsync(gateway, name)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    private static async Task<string> LinesAsync(GatewayProcess gateway, string name)
    {
        var text = await Http.GetStringAsync(new Uri(gateway.BaseUrl, "/metrics"), TestContext.Current.CancellationToken);
        return string.Join('\n', text.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal)));
    }
}
