using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Sees to it that no server outlives the gateway, however the gateway ends (<c>kill -9</c> included): a helper process
/// holds a pipe from us and ends all registered process groups, and all processes with our mark in their environment, when
/// that pipe ends. One per gateway, made by the container, shared by all links; disposed after them. Thread-safe.
/// </summary>
/// <remarks>
/// The mark finds what the groups cannot: grandchildren that made a session of their own, and a server started in the
/// instant before its registration. The helper starts with the first server, and again if someone kills it. Where there is
/// no shell (Windows, images without one) there is no helper: servers then see the end of their input, no more.
/// As process 1 of a container the gateway needs no helper, the kernel ends the rest with it; it does no harm there.
/// </remarks>
internal sealed partial class ProcessGuard : IAsyncDisposable
{
    /// <summary>The variable that every server's process carries: the gateway's random mark, a dot, the server's number.</summary>
    internal const string MarkVariable = "MOORING_INSTANCE";

    // The helper needs up to 1.5 s until SIGKILL and 5 s of rounds after it; see GuardScript.
    private static readonly TimeSpan HelperPatience = TimeSpan.FromSeconds(8);

    private readonly TimeProvider _time;
    private readonly ILogger<ProcessGuard> _logger;
    private readonly string _instance = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
    private readonly StraySweep _strays;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, string> _groups = [];
    private readonly CancellationTokenSource _stopping = new();
    private Channel<string>? _lines;
    private Task? _supervision;
    private long _lastNumber;
    private bool _disposed;

    public ProcessGuard(TimeProvider time, ILogger<ProcessGuard> logger)
    {
        _time = time;
        _logger = logger;
        _strays = new StraySweep($"{MarkVariable}={_instance}.", time, logger);
    }

    /// <summary>The process id of the helper, or null while there is none.</summary>
    internal int? HelperId { get; private set; }

    /// <summary>
    /// A new number for a server about to be started; <see cref="MarkOf"/> it goes into its environment.
    /// The helper runs from here on, so that the server is found even if we end before <see cref="Add"/>.
    /// </summary>
    public long NextNumber()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_supervision is null)
            {
                var helper = StartHelperLocked();
                _supervision = helper is null ? Task.CompletedTask : SuperviseAsync(helper);
            }

            return ++_lastNumber;
        }
    }

    /// <summary>The value of <see cref="MarkVariable"/> for a server.</summary>
    public string MarkOf(long number) => string.Create(CultureInfo.InvariantCulture, $"{_instance}.{number}");

    /// <summary>Puts a server's process group (its leader's id) under guard.</summary>
    public void Add(int group)
    {
        var entry = string.Create(CultureInfo.InvariantCulture, $"{group} {MarkedProcesses.StartTimeOf(group) ?? "-"}");
        lock (_lock)
        {
            _groups[group] = entry;
            _lines?.Writer.TryWrite("+ " + entry);
        }
    }

    /// <summary>Takes a group out again, once it is empty: its number may come to others from then on.</summary>
    public void Remove(int group)
    {
        lock (_lock)
        {
            if (_groups.Remove(group))
            {
                _lines?.Writer.TryWrite(string.Create(CultureInfo.InvariantCulture, $"- {group}"));
            }
        }
    }

    /// <summary>Ends what a server that is gone left behind outside its group. Done within about two seconds; only where /proc tells.</summary>
    public Task SweepAsync(long number) => _strays.SweepAsync(number);

    /// <summary>Lets the helper end what is still registered, normally nothing, and waits for it.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? supervision;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            supervision = _supervision;
            _lines?.Writer.TryComplete();
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        try
        {
            await (supervision ?? Task.CompletedTask).WaitAsync(HelperPatience, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Log.HelperDidNotEnd(_logger, HelperId ?? 0);
        }

        _stopping.Dispose();
    }

    private Process? StartHelperLocked()
    {
        if (OperatingSystem.IsWindows() || CommandLookup.FindSystemProgram("sh") is not { } shell)
        {
            Log.NoHelper(_logger);
            return null;
        }

        var info = OwnSession.StartInfo(shell, ["-c", GuardScript.Text, "mooring-guard", _instance]);
        // A gateway that is itself the server of another one must not hand that one's mark on: its helper has to outlive it.
        info.Environment.Remove(MarkVariable);
        try
        {
            var helper = Process.Start(info)!;
            HelperId = helper.Id;
            _lines = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true });
            foreach (var entry in _groups.Values)
            {
                _lines.Writer.TryWrite("+ " + entry);
            }

            return helper;
        }
        catch (Win32Exception e)
        {
            Log.HelperDidNotStart(_logger, e.NativeErrorCode);
            return null;
        }
    }

    /// <summary>Feeds the helper and, unless we are stopping, starts another whenever it ends.</summary>
    private async Task SuperviseAsync(Process first)
    {
        var backoff = new RestartBackoff(_time, Random.Shared);
        for (var helper = first; helper is not null;)
        {
            backoff.Started();
            var code = await ServeAsync(helper, _lines!.Reader).ConfigureAwait(false);
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            Log.HelperEnded(_logger, code);
            helper = await RestartAsync(backoff).ConfigureAwait(false);
        }
    }

    private async Task<Process?> RestartAsync(RestartBackoff backoff)
    {
        while (true)
        {
            try
            {
                await Task.Delay(backoff.Next(), _time, _stopping.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return null;
            }

            lock (_lock)
            {
                if (_disposed)
                {
                    return null;
                }

                if (StartHelperLocked() is { } helper)
                {
                    return helper;
                }
            }
        }
    }

    /// <summary>Feeds one helper to its end and gives its exit code. It ends when the lines do, or by someone else's hand.</summary>
    private static async Task<int> ServeAsync(Process helper, ChannelReader<string> lines)
    {
        using (helper)
        {
            using var ended = new CancellationTokenSource();
            var feeding = FeedAsync(helper.StandardInput.BaseStream, lines, ended.Token);
            await helper.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            await ended.CancelAsync().ConfigureAwait(false);
            await feeding.ConfigureAwait(false);
            return helper.ExitCode;
        }
    }

    private static async Task FeedAsync(Stream input, ChannelReader<string> lines, CancellationToken ended)
    {
        await using (input.ConfigureAwait(false))
        {
            try
            {
                await foreach (var line in lines.ReadAllAsync(ended).ConfigureAwait(false))
                {
                    await input.WriteAsync(Encoding.ASCII.GetBytes(line + "\n"), ended).ConfigureAwait(false);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // The helper is gone; the next one gets all groups anew.
            }
        }
    }
}
