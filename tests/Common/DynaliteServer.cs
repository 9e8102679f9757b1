using System.Diagnostics;
using System.Text.Json;

namespace Mooring.Tests;

/// <summary>A real DynamoDB protocol server (dynalite) of the tests' own, on a loopback port. It ends with the process that started it.</summary>
internal sealed class DynaliteServer : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly string? _directory;
    private Process? _process;

    private DynaliteServer(int port, string? directory)
    {
        Port = port;
        _directory = directory;
    }

    public int Port { get; }

    public Uri Endpoint => new($"http://127.0.0.1:{Port}/");

    /// <param name="keeps">Whether its data outlives a stop.</param>
    public static async Task<DynaliteServer> StartAsync(bool keeps = false)
    {
        // The protocol wants a signature; whose it is the server does not ask.
        foreach (var (name, value) in Credentials)
        {
            Environment.SetEnvironmentVariable(name, value);
        }

        var server = new DynaliteServer(LoopbackPorts.Take(), keeps ? Directory.CreateTempSubdirectory("mooring-dynalite-").FullName : null);
        await server.StartAgainAsync();
        return server;
    }

    public static IReadOnlyDictionary<string, string> Credentials { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE",
        ["AWS_SECRET_ACCESS_KEY"] = "of the tests",
        ["AWS_EC2_METADATA_DISABLED"] = "true",
    };

    public async Task StartAgainAsync()
    {
        var fixture = FindFixture();
        string[] line = [Path.Combine(fixture, "server.mjs"), $"{Port}", .. _directory is null ? Array.Empty<string>() : [_directory]];
        _process = Process.Start(new ProcessStartInfo("node", line) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = fixture })!;
        if (await _process.StandardOutput.ReadLineAsync() != "ready")
        {
            throw new InvalidOperationException($"dynalite did not start; run npm ci in {fixture}.");
        }
    }

    /// <summary>As a crash does.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    public Task ThrottleAsync(int requests) => OrderAsync($"throttle {requests}");

    /// <summary>Does the next request of an operation, and loses its answer.</summary>
    public Task LoseAsync(string operation) => OrderAsync($"lose {operation}");

    /// <summary>Every request of this operation is answered 500 from now on.</summary>
    public Task FailAsync(string operation) => OrderAsync($"fail {operation}");

    /// <summary>Has its clock go ahead of this machine's, by so much in all.</summary>
    public Task AheadAsync(TimeSpan ahead) => OrderAsync($"ahead {(long)ahead.TotalMilliseconds}");

    public Task HangAsync() => OrderAsync("hang");

    public Task GoAsync() => OrderAsync("go");

    /// <summary>How often which operation was asked for since this was asked last.</summary>
    public async Task<IReadOnlyDictionary<string, int>> AskedAsync() => JsonSerializer.Deserialize<Dictionary<string, int>>(await OrderAsync("asked"))!;

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _turn.Dispose();
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private async Task<string> OrderAsync(string order)
    {
        await _turn.WaitAsync();
        try
        {
            await _process!.StandardInput.WriteLineAsync(order);
            return await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("dynalite ended.");
        }
        finally
        {
            _turn.Release();
        }
    }

    private static string FindFixture()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            var fixture = Path.Combine(at.FullName, "tests", "fixtures", "dynamodb");
            if (File.Exists(Path.Combine(fixture, "server.mjs")))
            {
                return fixture;
            }
        }

        throw new InvalidOperationException("There is no tests/fixtures/dynamodb above the tests.");
    }
}
