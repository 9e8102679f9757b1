extern alias chaos;

using chaos::Mooring.Chaos.Rounds;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Chaos;

/// <summary>Every round of eng/chaos.sh, short and with few sessions, some at the same time; played once for all tests of the collection.</summary>
public sealed class ShortRounds : IAsyncLifetime
{
    /// <summary>Two minutes where nothing else runs.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    private ToolProcess? _process;

    /// <summary>Notes and what gateways said, which the rows leave out.</summary>
    public string Progress => _process!.Errors;

    public async ValueTask InitializeAsync()
    {
        var program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Mooring.Chaos.exe" : "Mooring.Chaos");
        string[] options = ["--short", "--sessions", "24", "--official", "4", "--pace", "0.8", "--parallel", "3"];
        var gateway = new Dictionary<string, string> { ["MOORING_BIN"] = await GatewayBinary.PathAsync() };
        _process = ToolProcess.Start(program, [.. options, .. AllRounds.Names], gateway);
        await _process.ExitAsync(Limit, TestContext.Current.CancellationToken);
    }

    /// <summary>The cells of a round's row; none if it has no row.</summary>
    public string[] CellsOf(string round) =>
        _process!.Output.Split('\n').FirstOrDefault(line => line.Contains($"(`{round}`)", StringComparison.Ordinal))?.Split('|', StringSplitOptions.TrimEntries) ?? [];

    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            await process.DisposeAsync();
        }
    }
}
