using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>One server process under test. Made by <see cref="Candidates"/>, ended by whoever asked for it.</summary>
internal sealed partial class ServerProcess : IAsyncDisposable
{
    private const int Sigterm = 15;

    // A start may include compiling nothing but has to read npm packages from a cold disk.
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private ServerProcess(Process process, Uri url)
    {
        _process = process;
        Url = url;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
    }

    public Uri Url { get; }

    /// <summary>What it wants to be shown; null: nothing.</summary>
    public string? Token { get; init; }

    public int Pid => _process.Id;

    public static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    public static ServerProcess Start(
        Uri url, string program, IEnumerable<string> arguments, string? directory = null, IReadOnlyDictionary<string, string>? environment = null, string? token = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory ?? "",
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var server = new ServerProcess(Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start."), url) { Token = token };
        server._process.BeginOutputReadLine();
        server._process.BeginErrorReadLine();
        return server;
    }

    /// <summary>Waits until <paramref name="isReady"/> says so; its network errors mean not yet.</summary>
    public async Task<ServerProcess> WhenAsync(Func<bool> isReady, TimeSpan poll, CancellationToken cancellation)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                if (isReady())
                {
                    return this;
                }
            }
            catch (Exception error) when (error is SocketException or InvalidDataException)
            {
                // Not listening yet, or not done yet.
            }

            if (_process.HasExited || Stopwatch.GetElapsedTime(start) > StartLimit)
            {
                var output = Output();
                await DisposeAsync();
                throw new InvalidOperationException($"{_process.StartInfo.FileName} did not become ready at {Url}:\n{output}");
            }

            await Task.Delay(poll, cancellation);
        }
    }

    /// <summary>Waits until an MCP session can be opened and lists a tool.</summary>
    public Task<ServerProcess> WhenServingAsync(string tool, CancellationToken cancellation) =>
        WhenAsync(() => Lists(tool), TimeSpan.FromMilliseconds(100), cancellation);

    /// <summary>Waits until something accepts connections.</summary>
    public Task<ServerProcess> WhenListeningAsync(CancellationToken cancellation) =>
        WhenAsync(() =>
        {
            using var connection = new RawConnection(new IPEndPoint(IPAddress.Loopback, Url.Port));
            return true;
        }, TimeSpan.FromMilliseconds(100), cancellation);

    /// <summary>Opens a session and asks for the tools; true if one has this name.</summary>
    public bool Lists(string tool)
    {
        using var connection = new RawConnection(new IPEndPoint(IPAddress.Loopback, Url.Port));
        connection.Exchange(Requests.Post(Url, null, Requests.Initialize("bench-probe"), Token));
        if (connection.Status != 200 || connection.SessionId is not { } session)
        {
            return false;
        }

        connection.Exchange(Requests.Post(Url, session, Requests.Initialized, Token));
        connection.Exchange(Requests.Post(Url, session, Requests.ListTools, Token));
        var found = connection.Status == 200 && connection.Body.IndexOf(Encoding.UTF8.GetBytes($"\"name\":\"{tool}")) >= 0;
        connection.Exchange(Requests.Delete(Url, session, Token));
        return found;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, Sigterm);
            using var limit = new CancellationTokenSource(StopLimit);
            try
            {
                await _process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);

    private string Output()
    {
        lock (_output)
        {
            return _output.ToString();
        }
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_output)
        {
            // Only what explains a failed start; a chatty server is read and forgotten.
            if (_output.Length < 8192)
            {
                _output.AppendLine(line.Data);
            }
        }
    }
}
