using System.CommandLine;

namespace Mooring.Benchmarks.Scaling;

/// <summary>The verb behind <c>eng/bench.sh --only scaling</c>.</summary>
internal static class ScalingCommand
{
    public static Command Scaling()
    {
        var root = new Option<string>("--root") { Required = true, Description = "The repository." };
        var gateway = new Option<string>("--gateway") { Required = true, Description = "The gateway's program." };
        var quick = new Option<bool>("--quick") { Description = "A tenth of everything: to see that it runs, not to judge by." };
        var write = new Option<string?>("--write") { Description = "Page that keeps the result." };
        var command = new Command("scaling", "What one stream, session, event, call and wake-up costs a gateway and its PostgreSQL.") { root, gateway, quick, write };
        command.SetAction((parsed, cancellation) => ScalingRun.RunAsync(
            new ScalingOptions(parsed.GetValue(gateway)!, parsed.GetValue(root)!, parsed.GetValue(quick) ? 300 : 2_000, parsed.GetValue(quick) ? 2 : 5)
            {
                Write = parsed.GetValue(write),
            },
            cancellation));
        return command;
    }
}

/// <param name="Gateway">The gateway's program.</param>
/// <param name="Root">The repository.</param>
/// <param name="Sessions">Opened, and later held with a stream each.</param>
/// <param name="Seconds">Of each measurement that goes by time.</param>
internal sealed record ScalingOptions(string Gateway, string Root, int Sessions, double Seconds)
{
    /// <summary>File between whose markers the result is put.</summary>
    public string? Write { get; init; }
}
