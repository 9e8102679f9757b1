using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos.Stands;

/// <summary>The counting server over HTTP, as a process that can be killed and comes back on the same port. Made and disposed by the stand.</summary>
internal sealed class WebServerProcess(string ledgers) : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private readonly int _port = Ports.Free();
    private ToolProcess? _process;

    public Uri Url => new($"http://127.0.0.1:{_port}/mcp");

    public async Task StartAsync(CancellationToken cancel)
    {
        var (program, arguments) = Self("web-server", $"{_port}", ledgers);
        _process = ToolProcess.Start(program, arguments);
        await _process.FirstLineAsync(StartLimit, cancel);
    }

    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }

    /// <summary>forget, hang or resume.</summary>
    public async Task OrderAsync(string order, CancellationToken cancel)
    {
        using var response = await Http.PostAsync(new Uri(Url, $"/control/{order}"), content: null, cancel);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>How this program is started for another of its parts.</summary>
    public static (string Program, string[] Arguments) Self(params string[] arguments) => (Environment.ProcessPath!, arguments);

    public async ValueTask DisposeAsync() => await KillAsync();
}
