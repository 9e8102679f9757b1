using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks;

/// <summary>Verbs that put load on an endpoint and print figures as JSON.</summary>
internal static class LoadCommands
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private static readonly Option<string> Url = new("--url") { Required = true, Description = "Endpoint on loopback." };
    private static readonly Option<int?> Pid = new("--pid") { Description = "Process of the server: its processor time and memory are reported." };
    private static readonly Option<bool> ReadMetrics = new("--metrics") { Description = "Read /metrics of the same server for lateness and allocated bytes." };

    public static Command Load()
    {
        var workers = new Option<int>("--workers") { DefaultValueFactory = _ => 8, Description = "Sessions, connections and calls at a time." };
        var seconds = new Option<double>("--seconds") { DefaultValueFactory = _ => 5, Description = "Measured time." };
        var warmUp = new Option<double>("--warm-up") { DefaultValueFactory = _ => 1, Description = "Seconds before it." };
        var mode = new Option<string>("--mode") { DefaultValueFactory = _ => "json", Description = "json or sse: how the server answers." };
        mode.AcceptOnlyFromAmong("json", "sse");
        var prefix = new Option<string>("--prefix") { DefaultValueFactory = _ => "", Description = "Put before the tool's name, as on a merged endpoint." };
        var sessionless = new Option<bool>("--sessionless") { Description = "The server has no sessions." };
        var stateless = new Option<bool>("--stateless") { Description = "Requests of 2026-07-28, without a session." };
        var command = new Command("load", "Closed loop of tools/call; a wrong answer fails the run.")
        {
            Url, workers, seconds, warmUp, mode, prefix, sessionless, stateless, ReadMetrics, Pid,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var url = new Uri(parsed.GetValue(Url)!);
            var tool = parsed.GetValue(prefix) + (parsed.GetValue(mode) is "sse" ? "echo_sse" : "echo");
            var result = await LoadRun.RunAsync(
                new LoadOptions(url, parsed.GetValue(workers), parsed.GetValue(seconds), parsed.GetValue(warmUp), tool)
                {
                    Sessionless = parsed.GetValue(sessionless),
                    Stateless = parsed.GetValue(stateless),
                    Pid = parsed.GetValue(Pid),
                    Metrics = MetricsOf(parsed, url),
                },
                cancellation);
            Console.WriteLine(JsonSerializer.Serialize(result, Json));
            return result.Errors == 0 ? 0 : 1;
        });
        return command;
    }

    public static Command Hold()
    {
        var streams = new Option<int>("--streams") { DefaultValueFactory = _ => 10_000, Description = "Streams that are read." };
        var seconds = new Option<double>("--seconds") { DefaultValueFactory = _ => 20, Description = "Time over which comments are counted." };
        var stalled = new Option<int>("--stalled") { Description = "Further streams that are never read." };
        var bare = new Option<bool>("--bare") { Description = "Only a GET, no session." };
        var gap = new Option<double>("--longest-gap") { DefaultValueFactory = _ => 18, Description = "Seconds between two comments at most; more is late." };
        var prefix = new Option<string>("--prefix") { DefaultValueFactory = _ => "", Description = "Put before the tool's name." };
        var command = new Command("hold", "Holds sessions with a GET stream open.") { Url, streams, seconds, stalled, bare, gap, prefix, Pid, ReadMetrics };
        command.SetAction(async (parsed, cancellation) =>
        {
            var url = new Uri(parsed.GetValue(Url)!);
            var result = await HoldRun.RunAsync(
                new HoldOptions(url, parsed.GetValue(streams), parsed.GetValue(seconds))
                {
                    Bare = parsed.GetValue(bare),
                    Stalled = parsed.GetValue(stalled),
                    FloodTool = parsed.GetValue(prefix) + "flood",
                    Pid = parsed.GetValue(Pid),
                    LongestGap = parsed.GetValue(gap),
                    Metrics = MetricsOf(parsed, url),
                },
                cancellation);
            Console.WriteLine(JsonSerializer.Serialize(result, Json));
            return result.Failed == 0 ? 0 : 1;
        });
        return command;
    }

    private static Uri? MetricsOf(ParseResult parsed, Uri url) => parsed.GetValue(ReadMetrics) ? new Uri(url, "/metrics") : null;
}
