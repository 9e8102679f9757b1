using System.CommandLine;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks;

/// <summary>The verb behind eng/bench.sh.</summary>
internal static class SuiteCommand
{
    public static Command Suite()
    {
        var root = new Option<string>("--root") { Required = true, Description = "The repository." };
        var gateway = new Option<string?>("--gateway") { Description = "The gateway's program; without it a second pass-through stands in." };
        var quick = new Option<bool>("--quick") { Description = "One short round: to see that everything runs, not to judge by." };
        var only = new Option<string[]>("--only")
        {
            Description = "calls, auth, streams, start, stdio or profile; may be given more than once.",
            DefaultValueFactory = _ => [],
        };
        only.AcceptOnlyFromAmong("calls", "auth", "streams", "start", "stdio", "profile");
        var write = new Option<string?>("--write") { Description = "Page that keeps the result." };
        var steered = new Option<bool>("--steered") { Description = "Say in the report that received packets are handed to the first processor." };
        var command = new Command("suite", "Everything, as one report.") { root, gateway, quick, only, write, steered };
        command.SetAction((parsed, cancellation) =>
        {
            var options = parsed.GetValue(quick)
                ? new SuiteOptions(parsed.GetValue(gateway), parsed.GetValue(root)!, Repetitions: 1, Seconds: 1, Streams: 1_000) { Beat = 2, BeatSeconds = 6 }
                : new SuiteOptions(parsed.GetValue(gateway), parsed.GetValue(root)!, Repetitions: 5, Seconds: 3, Streams: 10_000);
            return SuiteRun.RunAsync(options with { Only = parsed.GetValue(only)!, Write = parsed.GetValue(write), Steered = parsed.GetValue(steered) }, cancellation);
        });
        return command;
    }
}
