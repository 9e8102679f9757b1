using System.Globalization;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>
/// The clock of one gateway jumps, so that two that share a store do not agree, by the library behind the program faketime; its monotonic
/// clock goes on as clocks of that kind do.
/// </summary>
internal sealed class ClockRound : Round
{
    private static readonly string? Library = new[] { "x86_64-linux-gnu", "aarch64-linux-gnu" }
        .Select(machine => $"/usr/lib/{machine}/faketime/libfaketimeMT.so.1").FirstOrDefault(File.Exists);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mooring-chaos-clock-");

    public ClockRound() => Jump("+0");

    public override string Name => "clock";

    public override string Title => "clock of one of two gateways jumps 10 min forward, 20 min back, 1 h forward and back";

    public override string? Obstacle => Library is null ? "libfaketime is not installed" : null;

    public override StandShape Shape => new(Replicas: 2)
    {
        Environment = index => index != 0 ? new Dictionary<string, string>() : new Dictionary<string, string>
        {
            ["LD_PRELOAD"] = Library ?? "",
            ["FAKETIME_TIMESTAMP_FILE"] = TimestampFile,
            // Read again once a second, not at each look at the clock, which would cost a file each.
            ["FAKETIME_CACHE_DURATION"] = "1",
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
            // With its other way to wait, waits with a limit end at once, and each thread of the runtime that has nothing to do spins.
            ["FAKETIME_FORCE_MONOTONIC_FIX"] = "0",
            // Not the servers that it starts.
            ["FAKETIME_ONLY_CMDS"] = "mooring",
        },
    };

    private string TimestampFile => Path.Combine(_folder.FullName, "offset");

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        foreach (var offset in new[] { "+600", "-600", "+3600", "+0" })
        {
            Jump(offset);
            await field.WaitAsync(8, 2.5, cancel);
            var seconds = int.Parse(offset, CultureInfo.InvariantCulture);
            var wrong = (await field.Stand.Replicas[0].ClockAsync(cancel) - TimeProvider.System.GetUtcNow()).TotalSeconds;
            field.Evidence.Show("clocks seen to be off as told", Math.Abs(wrong - seconds) < 30 ? 1 : 0);
        }
    }

    public override Task ClearAsync()
    {
        _folder.Delete(recursive: true);
        return Task.CompletedTask;
    }

    /// <summary>By another file of that name: half of an offset must never be read.</summary>
    private void Jump(string offset)
    {
        File.WriteAllText(TimestampFile + ".new", offset + "\n");
        File.Move(TimestampFile + ".new", TimestampFile, overwrite: true);
    }
}
