using System.Globalization;
using System.Runtime.InteropServices;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks.Scaling;

/// <summary>Turns the constants into the tables of docs/scaling.md, each between its own markers.</summary>
internal static class ScalingReport
{
    private const string End = "<!-- end -->";

    private static readonly double[] Sizes = [10e3, 1e6, 100e6];

    public static IReadOnlyDictionary<string, string> ToMarkdown(Constants constants, ScalingOptions options, string loadBefore)
    {
        var models = Sizes.Select(streams => new Model(constants, streams)).ToList();
        return new Dictionary<string, string>
        {
            ["constants"] = Costs(constants),
            ["notify"] = "| senders at a time | listeners | wake-ups per second | PostgreSQL, µs each |\n|---|---|---|---|\n" + string.Join('\n', constants.Notify.Select(rate =>
                $"| {rate.Senders} | {rate.Listeners} | {rate.PerSecond:N0} | {rate.DatabaseMicros:N0} |")),
            ["latency"] = "| call, one at a time | p50 |\n|---|---|\n" +
                $"| answered at once | {constants.Commit.Fast:0.0} ms |\n| durable | {constants.Commit.Durable:0.0} ms |\n" +
                $"| to a process on standard streams, at its home | {constants.Latency.Home:0.0} ms |\n" +
                $"| the same through another replica | {constants.Latency.Elsewhere:0.0} ms |",
            ["gateways"] = Gateways(models),
            ["database"] = Databases(models),
            ["conditions"] = $"{DateTimeOffset.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}, {RuntimeInformation.FrameworkDescription}, " +
                $"Linux {Environment.OSVersion.Version}, {Environment.ProcessorCount} cores, over loopback, fsync off; {options.Sessions:N0} sessions with a stream each. Other programs ran on the machine: " +
                $"load average {loadBefore} at the start, {Conditions.Load()} at the end.",
        };
    }

    public static void Write(string page, IReadOnlyDictionary<string, string> parts)
    {
        var text = File.ReadAllText(page);
        foreach (var (name, content) in parts)
        {
            var mark = $"<!-- {name}: written by eng/bench.sh --only scaling --write -->";
            var at = text.IndexOf(mark, StringComparison.Ordinal);
            if (at < 0)
            {
                throw new InvalidDataException($"{page} has no place for {name}.");
            }

            var from = at + mark.Length;
            text = $"{text[..from]}\n\n{content}\n\n{text[text.IndexOf(End, from, StringComparison.Ordinal)..]}";
        }

        File.WriteAllText(page, text);
    }

    private static string Costs(Constants constants) =>
        "| one | gateway, bytes resident | gateway, µs | PostgreSQL, bytes of rows | PostgreSQL, µs | PostgreSQL, bytes of log |\n|---|---|---|---|---|---|\n" +
        string.Join('\n', constants.All.Select(cost =>
            $"| {cost.What} | {Number(cost.GatewayBytes)} | {Number(cost.GatewayMicros)} | {Number(cost.DatabaseBytes)} | {Number(cost.DatabaseMicros)} | {Number(cost.LogBytes)} |"));

    private static string Gateways(List<Model> models) => Table(
        models,
        ("memory of all", model => Bytes(model.Memory)),
        ("cores for keep-alive", model => Amount(model.KeepAliveCores)),
        ("calls per second", model => Amount(model.CallsPerSecond)),
        ("cores for calls", model => Amount(model.CallCores)),
        ("cores for what else goes to the store", model => Amount(model.StoreCores)),
        ("gateways by memory", model => Amount(model.ByMemory)),
        ("gateways by keep-alive", model => Amount(model.ByKeepAlive)),
        ("gateways by calls", model => Amount(model.ByCalls)),
        ("gateways by `limits.streams`", model => Amount(model.ByLimit)),
        ("**gateways**", model => $"**{Amount(model.Gateways)}**"));

    private static string Databases(List<Model> models) => Table(
        models,
        ("rows with their indexes", model => Bytes(model.Rows)),
        ("rows changed per second", model => Amount(model.WritesPerSecond)),
        ("log per second", model => Bytes(model.LogPerSecond)),
        ("cores", model => Amount(model.DatabaseCoresNeeded)),
        ("of these for NOTIFY", model => Amount(model.NotifyCores)),
        ("commits with NOTIFY per second", model => Amount(model.NotifiesPerSecond)),
        ("wake-ups per second", model => Amount(model.WakeUpsPerSecond)),
        ("**databases, by cores alone**", model => $"**{Amount(model.Databases)}**"));

    private static string Table(List<Model> models, params (string Name, Func<Model, string> Cell)[] rows) =>
        $"| streams | {string.Join(" | ", models.Select(model => Amount(model.Streams)))} |\n|---|{string.Concat(models.Select(_ => "---|"))}\n" +
        string.Join('\n', rows.Select(row => $"| {row.Name} | {string.Join(" | ", models.Select(row.Cell))} |"));

    /// <summary>Below what the measurement can tell from nothing, it is nothing.</summary>
    private static string Number(double value) => double.IsNaN(value) ? "–" : Math.Abs(value) < 0.5 ? "0" : $"{value:N0}";

    private static string Amount(double value) => value < 10 && value != Math.Floor(value) ? $"{value:0.0#}" : $"{value:N0}";

    private static string Bytes(double value) => value switch
    {
        >= 1e12 => $"{value / 1e12:0.0} TB",
        >= 1e9 => $"{value / 1e9:0.0} GB",
        >= 1e6 => $"{value / 1e6:0.0} MB",
        _ => $"{value / 1e3:0.0} kB",
    };
}
