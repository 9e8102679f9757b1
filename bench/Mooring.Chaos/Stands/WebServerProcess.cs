using System.Globalization;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;

namespace Mooring.Chaos.Stands;

/// <summary>A counting server over HTTP, as a process that can be killed and comes back on the same port. Made and disposed by the stand.</summary>
/// <param name="part">Of this program: web-server or stateless-server.</param>
/// <param name="ledgers">Where it writes down what it executes.</param>
internal sealed class WebServerProcess(string part, string ledgers) : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private readonly int _port = LoopbackPorts.Take();
    private ToolProcess? _process;

    public Uri Url => new($"http://127.0.0.1:{_port}/mcp");

    public async Task StartAsync(CancellationToken cancel)
    {
        var (program, arguments) = Self(part, $"{_port}", ledgers);
        _process = ToolProcess.Start(program, arguments);
        await _process.FirstLineAsync(StartLimit, cancel);
    }

    /// <returns>Whether there was one that ran until now.</returns>
    public async Task<bool> KillAsync()
    {
        if (_process is not { } process)
        {
            return false;
        }

        _process = null;
        var ran = !process.HasExited;
        await process.DisposeAsync();
        return ran;
    }

    /// <summary>hang or resume; of the one with sessions also forget, unsent or strangers.</summary>
    /// <returns>Sessions forgotten, requests that hung, or requests of unknown sessions since the start.</returns>
    public async Task<long> OrderAsync(string order, CancellationToken cancel)
    {
        using var response = await Http.PostAsync(new Uri(Url, $"/control/{order}"), content: null, cancel);
        response.EnsureSuccessStatusCode();
        return long.Parse(await response.Content.ReadAsStringAsync(cancel), CultureInfo.InvariantCulture);
    }

    /// <summary>How this program is started for another of its parts.</summary>
    public static (string Program, string[] Arguments) Self(params string[] arguments) => (Environment.ProcessPath!, arguments);

    public async ValueTask DisposeAsync() => _ = await KillAsync();
}
