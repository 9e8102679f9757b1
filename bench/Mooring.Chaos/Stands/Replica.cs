using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos.Stands;

/// <summary>
/// One gateway process with its port, configuration and data, which outlive it. Made and disposed by the stand; a round kills, stops and
/// starts it.
/// </summary>
internal sealed partial class Replica(string program, int port, string folder, IReadOnlyDictionary<string, string> environment) : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(20) };

    private string _log = "";
    private string _program = program;
    private ToolProcess? _process;

    public int Port => port;

    public Uri Url => new($"http://127.0.0.1:{port}");

    public string DataFolder { get; } = Path.Combine(folder, "data");

    private string ConfigFile => Path.Combine(folder, "mooring.json");

    /// <summary>What it said on its way, for the report of a round that failed.</summary>
    public string Log => _log + _process?.Errors;

    /// <summary>Replaces the configuration as editors and platforms do: by another file of that name.</summary>
    public void Configure(JsonObject config)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(ConfigFile + ".new", config.ToJsonString());
        File.Move(ConfigFile + ".new", ConfigFile, overwrite: true);
    }

    /// <summary>The next time it starts it is of another build.</summary>
    public void Becomes(string other) => _program = other;

    /// <summary>Starts it and waits until it answers.</summary>
    public async Task StartAsync(CancellationToken cancel)
    {
        await ForgetAsync();
        _process = ToolProcess.Start(_program, ["run", "--config", ConfigFile, "--urls", $"http://127.0.0.1:{port}", "--data", DataFolder], environment, folder);
        var start = TimeProvider.System.GetTimestamp();
        while (!await HealthyAsync(cancel))
        {
            if (_process.HasExited || TimeProvider.System.GetElapsedTime(start) > StartLimit)
            {
                throw new InvalidOperationException(_process.Describe("the gateway did not start"));
            }

            await Task.Delay(50, cancel);
        }
    }

    /// <summary>kill -9 of this process and of no other.</summary>
    /// <returns>Its exit code.</returns>
    public Task<int> KillAsync(CancellationToken cancel) => EndAsync(9, cancel);

    /// <summary>SIGTERM, and the wait for its end.</summary>
    /// <returns>Its exit code.</returns>
    public Task<int> StopAsync(CancellationToken cancel) => EndAsync(15, cancel);

    /// <summary>What it calls now, by its own clock.</summary>
    public async Task<DateTimeOffset> ClockAsync(CancellationToken cancel)
    {
        using var response = await Http.GetAsync(new Uri(Url, "/health"), cancel);
        return response.Headers.Date ?? throw new InvalidOperationException("The gateway's answer has no date.");
    }

    /// <summary>The sum of all series of one metric that have these words among their tags.</summary>
    public async Task<double> MetricAsync(string name, string tags, CancellationToken cancel)
    {
        var text = await Http.GetStringAsync(new Uri(Url, "/metrics"), cancel);
        return text.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Contains(tags, StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync() => await ForgetAsync();

    private async Task<int> EndAsync(int signal, CancellationToken cancel)
    {
        var process = _process!;
        if (Kill(process.Id, signal) != 0)
        {
            throw new InvalidOperationException(process.Describe($"could not be sent signal {signal}"));
        }

        var start = TimeProvider.System.GetTimestamp();
        while (!process.HasExited)
        {
            if (TimeProvider.System.GetElapsedTime(start) > StopLimit)
            {
                throw new InvalidOperationException(process.Describe($"did not end on signal {signal}"));
            }

            await Task.Delay(20, cancel);
        }

        return process.ExitCode;
    }

    private async Task ForgetAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
            _log += process.Errors;
        }
    }

    private async Task<bool> HealthyAsync(CancellationToken cancel)
    {
        try
        {
            using var response = await Http.GetAsync(new Uri($"http://127.0.0.1:{port}/ready"), cancel);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancel.IsCancellationRequested)
        {
            // Not listening yet, or not able to answer yet.
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int process, int signal);
}
