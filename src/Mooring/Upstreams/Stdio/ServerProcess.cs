using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// One running process of a stdio server, with all that it starts. Made by <see cref="Start"/> for one link, which owns and
/// disposes it; reading, writing, waiting and stopping may happen at once. Never restarts: the link makes another one.
/// </summary>
internal sealed partial class ServerProcess : IAsyncDisposable
{
    // From SIGKILL to the end: only a process stuck in the kernel (a dead network disk) takes longer.
    private static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);

    // What the rest of a group gets between SIGTERM and SIGKILL after its leader ended.
    private static readonly TimeSpan GroupPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan GroupLook = TimeSpan.FromMilliseconds(50);

    private readonly string _server;
    private readonly Process _process;
    private readonly ProcessGuard _guard;
    private readonly long _number;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _pumping = new();
    private readonly Task _pump;
    private readonly Task _cleanup;
    private int _disposed;

    private ServerProcess(ServerConfig config, Process process, ProcessGuard guard, long number, TimeProvider time, ILogger logger)
    {
        _server = config.Name;
        _process = process;
        _guard = guard;
        _number = number;
        _time = time;
        _logger = logger;
        Id = process.Id;
        Input = process.StandardInput.BaseStream;
        Output = process.StandardOutput.BaseStream;
        Exited = WaitAsync();
        _cleanup = CleanUpAsync();
        var errors = new ErrorOutput(config, time, line => Log.ErrorLine(logger, _server, line), count => Log.LinesLeftOut(logger, _server, count));
        _pump = errors.PumpAsync(new FairStream(process.StandardError.BaseStream), _pumping.Token);
    }

    /// <summary>The process id, which is also that of its group where there are groups.</summary>
    public int Id { get; }

    /// <summary>The server's stdin: raw bytes, unbuffered; a write waits while the server does not read, and throws <see cref="IOException"/> when it is gone.</summary>
    public Stream Input { get; }

    /// <summary>The server's stdout: raw bytes. Ends when the server and all it started have closed it; may still hold bytes after <see cref="Exited"/>.</summary>
    public Stream Output { get; }

    /// <summary>How the process ended. Never fails. What it started may be on its way out still, see <see cref="DisposeAsync"/>.</summary>
    public Task<ProcessExit> Exited { get; }

    /// <summary>Starts a server. Returns as soon as the system has started it (some milliseconds), whatever it does then.</summary>
    /// <remarks>The server's variables are added to our own environment.</remarks>
    public static ServerStart Start(ServerConfig config, ProcessGuard guard, TimeProvider time, ILogger<ServerProcess> logger)
    {
        var (file, failure, message) = CommandLookup.Find(config);
        if (file is null)
        {
            return ServerStart.Failed(failure, message);
        }

        var number = guard.NextNumber();
        var info = OwnSession.StartInfo(file, config.Args);
        info.RedirectStandardOutput = true;
        info.RedirectStandardError = true;
        info.WorkingDirectory = config.WorkingDirectory ?? "";
        foreach (var (name, value) in config.Env)
        {
            info.Environment[name] = value;
        }

        info.Environment[ProcessGuard.MarkVariable] = guard.MarkOf(number);
        try
        {
            var process = Process.Start(info)!;
            guard.Add(process.Id);
            Log.Started(logger, config.Name, process.Id);
            return ServerStart.Of(new ServerProcess(config, process, guard, number, time, logger));
        }
        catch (Win32Exception e)
        {
            return ServerStart.Failed(
                StartFailure.SystemRefused,
                $"Server '{config.Name}' cannot be started: the system refused to run '{file}' ({Reason(e.NativeErrorCode)}).");
        }
    }

    /// <summary>
    /// Ends the server the way the protocol asks for: closes its input and waits; SIGTERM to its whole group and waits;
    /// SIGKILL to the group. Completes when the process is gone. May be called again with less patience.
    /// </summary>
    /// <param name="patience">Each of the two waits; zero goes straight to SIGKILL.</param>
    public async Task StopAsync(TimeSpan patience)
    {
        await CloseInputAsync().ConfigureAwait(false);
        if (patience > TimeSpan.Zero)
        {
            if (await ExitsWithinAsync(patience).ConfigureAwait(false))
            {
                return;
            }

            Log.Terminating(_logger, _server, Id);
            Terminate();
            if (await ExitsWithinAsync(patience).ConfigureAwait(false))
            {
                return;
            }

            Log.Killing(_logger, _server, Id);
        }

        Kill();
        if (!await ExitsWithinAsync(KillPatience).ConfigureAwait(false))
        {
            Log.Stuck(_logger, _server, Id);
        }
    }

    /// <summary>Kills what still runs and waits until the group and everything with the server's mark is gone (at most some seconds).</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (!Exited.IsCompleted)
        {
            await StopAsync(TimeSpan.Zero).ConfigureAwait(false);
        }

        if (Exited.IsCompleted)
        {
            await _cleanup.ConfigureAwait(false);
        }

        // The writers of stderr are dead, so the pump is at its end unless someone passed the pipe on.
        await _pump.WaitAsync(GroupPatience, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _pumping.CancelAsync().ConfigureAwait(false);
        await _pump.ConfigureAwait(false);
        await CloseInputAsync().ConfigureAwait(false);
        await Output.DisposeAsync().ConfigureAwait(false);
        await _process.StandardError.BaseStream.DisposeAsync().ConfigureAwait(false);
        _pumping.Dispose();
        _process.Dispose();
    }

    private async Task<ProcessExit> WaitAsync()
    {
        await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        var exit = new ProcessExit(_process.ExitCode);
        Log.Ended(_logger, _server, Id, exit);
        return exit;
    }

    /// <summary>
    /// Ends what the process leaves behind, at once after its end: as long as its group has members its number cannot come
    /// to others, later it can.
    /// </summary>
    private async Task CleanUpAsync()
    {
        await Exited.ConfigureAwait(false);
        if (OwnSession.IsAvailable && Posix.SignalGroup(Id, Posix.SigTerm))
        {
            var start = _time.GetTimestamp();
            while (Posix.GroupExists(Id) && _time.GetElapsedTime(start) < GroupPatience)
            {
                await Task.Delay(GroupLook, _time).ConfigureAwait(false);
            }

            Posix.SignalGroup(Id, Posix.SigKill);
        }

        await _guard.SweepAsync(_number).ConfigureAwait(false);
        _guard.Remove(Id);
    }

    private async Task<bool> ExitsWithinAsync(TimeSpan time)
    {
        await ((Task)Exited).WaitAsync(time, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return Exited.IsCompleted;
    }

    private async Task CloseInputAsync()
    {
        try
        {
            await Input.DisposeAsync().ConfigureAwait(false);
        }
        catch (IOException)
        {
            // The server closed it first.
        }
    }

    private void Terminate()
    {
        // In the first instant the process has not made its group yet; then it is alone, and SIGKILL is what follows anyway.
        if (!OperatingSystem.IsWindows() && !Exited.IsCompleted && !(OwnSession.IsAvailable && Posix.SignalGroup(Id, Posix.SigTerm)))
        {
            Posix.Signal(Id, Posix.SigTerm);
        }
    }

    private void Kill()
    {
        if (OwnSession.IsAvailable && !Exited.IsCompleted)
        {
            Posix.SignalGroup(Id, Posix.SigKill);
        }

        try
        {
            // Also the leader alone, for it may not have made its group yet. Process knows whether the id is still its own.
            _process.Kill(entireProcessTree: !OwnSession.IsAvailable);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // Ended meanwhile.
        }
    }

    // Numbers of Linux; those of macOS differ only in the first.
    private static string Reason(int error) => error switch
    {
        11 or 35 => "it allows no more processes",
        12 => "it has no memory left",
        24 or 23 => "too many open files",
        7 => "arguments and environment are too long",
        13 => "no permission",
        _ => $"error {error}",
    };
}
