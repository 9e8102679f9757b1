using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos.Clients;

/// <summary>
/// Clients built on the official libraries, a third on each and a third on the newer one pinned to 2026-07-28, in one process under Node; what they saw goes into the same tally. Made
/// and disposed by <see cref="Crowd"/>.
/// </summary>
internal sealed class OfficialClients : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Tally _tally;
    private readonly int _count;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;
    private int _started, _disposed;

    public OfficialClients(int count, int seed, IReadOnlyList<Uri> balancers, Tally tally, Conduct conduct)
    {
        (_count, _tally) = (count, tally);
        string[] numbers = [.. new[] { count, seed, (int)conduct.Pace.TotalMilliseconds, conduct.Slowest, (int)Conduct.Patience.TotalSeconds, (int)conduct.FaultsLast.TotalSeconds }.Select(number => number.ToString(CultureInfo.InvariantCulture))];
        _process = Process.Start(new ProcessStartInfo(
            Program, ["chaos.mjs", .. numbers, .. balancers.SelectMany((balancer, index) => (string[])(index % 2 == 0 ? ["web", "bare"] : ["bare", "web"]), (balancer, server) => new Uri(balancer, $"/servers/{server}/mcp").AbsoluteUri)])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = Repository.NodeFixtures,
        })!;
        _reading = ReadAsync();
        conduct.Faults.Changed = lasts =>
        {
            _process.StandardInput.WriteLine(lasts ? "fault" : "whole");
            _process.StandardInput.Flush();
        };
    }

    /// <summary>Completes when each has its session and its tools.</summary>
    public Task Ready => _ready.Task;

    /// <summary>Has them finish what they began; completes when they have.</summary>
    public async Task StopAsync()
    {
        await _process.StandardInput.WriteLineAsync("stop");
        await _process.StandardInput.FlushAsync();
        await _reading;
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // It ends with its input.
        _process.StandardInput.Close();
        await _process.WaitForExitAsync();
        await _reading;
        _process.Dispose();
    }

    private static string Program
    {
        get
        {
            var machine = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "arm64" : "x64";
            var pinned = Path.Combine(Repository.NodeFixtures, "node_modules", $"node-linux-{machine}", "bin", "node");
            return File.Exists(pinned) ? pinned : "node";
        }
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            Take(JsonDocument.Parse(line).RootElement);
        }

        _ready.TrySetException(new InvalidOperationException("The official clients ended before they had begun; npm ci in " + Repository.NodeFixtures));
    }

    private void Take(JsonElement said)
    {
        var first = said.EnumerateObject().First();
        switch (first.Name)
        {
            case "began":
                _tally.Began(first.Value.GetString()!);
                break;
            case "ended":
                _tally.Ended(first.Value.GetString()!, Enum.Parse<Outcome>(said.GetProperty("outcome").GetString()!, ignoreCase: true), new Pair(said.GetProperty("isPinned").GetBoolean(), said.GetProperty("isBare").GetBoolean()));
                break;
            case "ready":
                if (++_started == _count)
                {
                    _ready.TrySetResult();
                }

                break;
            case "sessionLost":
                _tally.SessionLost(first.Value.GetString()!);
                break;
            case "noTools":
                _tally.NoTools(TimeSpan.FromMilliseconds(first.Value.GetDouble()), "an official client", []);
                break;
            case "wrongList":
                _tally.WrongList(first.Value.GetString()!);
                break;
            case "events":
                _tally.Events(first.Value.GetInt64(), said.GetProperty("lost").GetInt64(), 0, said.GetProperty("repeated").GetInt64());
                break;
            default:
                _tally.Note(first.Value.GetString()!);
                break;
        }
    }
}
