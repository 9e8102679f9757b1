namespace Mooring.EndToEndTests.Harness;

/// <summary>Finds the program under test: MOORING_BIN, else what the start script builds, which it does once if sources changed.</summary>
internal static class GatewayBinary
{
    private static readonly TimeSpan BuildLimit = TimeSpan.FromMinutes(10);
    private static readonly Lazy<Task<string>> Found = new(FindAsync);

    public static Task<string> PathAsync() => Found.Value;

    private static async Task<string> FindAsync()
    {
        if (Environment.GetEnvironmentVariable("MOORING_BIN") is { Length: > 0 } given)
        {
            return File.Exists(given) ? given : throw new FileNotFoundException("MOORING_BIN names no file.", given);
        }

        var script = Path.Combine(Repository.Root, OperatingSystem.IsWindows() ? "mooring.ps1" : "mooring");
        // One test must not take the others' build down with it, so no test's cancellation is passed on.
        await using var build = OperatingSystem.IsWindows()
            ? ToolProcess.Start("pwsh", ["-File", script, "version"])
            : ToolProcess.Start(script, ["version"]);
        if (await build.ExitAsync(BuildLimit, CancellationToken.None) != 0)
        {
            throw new InvalidOperationException(build.Describe("the build failed"));
        }

        // The script would do as well, but a signal is to reach the gateway and no one in between.
        var output = Path.Combine(Repository.Root, ".build");
        var current = (await File.ReadAllTextAsync(Path.Combine(output, "current"))).Trim();
        return Path.Combine(output, current, OperatingSystem.IsWindows() ? "mooring.exe" : "mooring");
    }
}
