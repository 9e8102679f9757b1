using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Mooring.EndToEndTests.Harness;

/// <summary>
/// One child process of a test, with everything it said. Made by the helpers here; whoever started it disposes it, which kills
/// it with its children and waits until it is gone.
/// </summary>
internal sealed partial class ToolProcess : IAsyncDisposable
{
    private static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource<string> _firstLine = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _what;

    private ToolProcess(Process process, string what)
    {
        _process = process;
        _what = what;
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public static ToolProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null)
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
            WorkingDirectory = folder ?? Repository.Root,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            info.Environment[name] = value;
        }

        var process = new Process { StartInfo = info };
        var tool = new ToolProcess(process, $"{Path.GetFileName(program)} {string.Join(' ', info.ArgumentList)}");
        process.OutputDataReceived += (_, line) => tool.Keep(tool._output, line.Data, isOutput: true);
        process.ErrorDataReceived += (_, line) => tool.Keep(tool._errors, line.Data, isOutput: false);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return tool;
    }

    /// <summary>The first line on standard output, where servers say that they are ready.</summary>
    public Task<string> FirstLineAsync(TimeSpan limit, CancellationToken cancellation) =>
        LimitedAsync(_firstLine.Task, limit, "say that it is ready", cancellation);

    /// <summary>Waits for the end and all output. The exit code is the caller's to judge.</summary>
    public async Task<int> ExitAsync(TimeSpan limit, CancellationToken cancellation)
    {
        await LimitedAsync(WaitAsync(), limit, "end", cancellation);
        return _process.ExitCode;

        async Task<bool> WaitAsync()
        {
            await _process.WaitForExitAsync(cancellation);
            return true;
        }
    }

    /// <summary>Writes a line to its standard input.</summary>
    public async Task SayAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Sends a signal by its number (15 SIGTERM, 2 SIGINT).</summary>
    public void Signal(int number)
    {
        if (OperatingSystem.IsWindows() || Kill(Id, number) != 0)
        {
            throw new InvalidOperationException(Describe($"could not send signal {number}"));
        }
    }

    public void Kill() => _process.Kill(entireProcessTree: true);

    public string Describe(string phase) =>
        $"{phase}: {_what} ({(HasExited ? $"ended with {ExitCode}" : "still runs")})\n--- output\n{Tail(Output)}\n--- errors\n{Tail(Errors)}";

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Kill();
            using var patience = new CancellationTokenSource(KillPatience, TimeProvider.System);
            await _process.WaitForExitAsync(patience.Token);
        }

        _firstLine.TrySetException(new ObjectDisposedException(_what));
        _process.Dispose();
    }

    private async Task<T> LimitedAsync<T>(Task<T> task, TimeSpan limit, string goal, CancellationToken cancellation)
    {
        try
        {
            return await task.WaitAsync(limit, TimeProvider.System, cancellation);
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException(Describe($"did not {goal} within {limit.TotalSeconds} s"), exception);
        }
    }

    private void Keep(StringBuilder where, string? line, bool isOutput)
    {
        if (line is null)
        {
            // Not where somebody has it already: by now it may be disposed, and nothing can be asked of it.
            if (isOutput && !_firstLine.Task.IsCompleted)
            {
                _firstLine.TrySetException(new InvalidOperationException(Describe("closed its output without a word")));
            }

            return;
        }

        lock (where)
        {
            where.AppendLine(line);
        }

        if (isOutput)
        {
            _firstLine.TrySetResult(line);
        }
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }

    private static string Tail(string text) => text.Length <= 8000 ? text : "…" + text[^8000..];

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int process, int signal);
}
