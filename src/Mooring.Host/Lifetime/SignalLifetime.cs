using System.Runtime.InteropServices;
using Mooring.Drain;

namespace Mooring.Host.Lifetime;

/// <summary>
/// Turns signals into a drain and then a stop: the first SIGTERM, SIGINT or SIGHUP (the terminal is closed) drains, a SIGTERM or SIGINT after that ends
/// the process at once. The drain runs before the host begins to stop, because a stopping web server cuts every stream by itself. A drain that was asked
/// for before the signal is not run again: it is waited for, or is over already.
/// </summary>
internal sealed partial class SignalLifetime(
    IHostApplicationLifetime application, IServiceProvider services, ILogger<SignalLifetime> logger) : IHostLifetime, IDisposable
{
    private readonly CancellationTokenSource _stopped = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _signals;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGHUP })
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _stopped.Cancel();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stopped.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) > 1)
        {
            if (context.Signal == PosixSignal.SIGHUP)
            {
                // Where a terminal is closed it comes from the system and from the shell, and after the SIGTERM of whoever ends a login: nobody asks for haste.
                return;
            }

            // 128 + number, as shells say it: 130 for SIGINT, 143 for SIGTERM.
            Environment.Exit(context.Signal == PosixSignal.SIGINT ? 130 : 143);
        }

        Log.Signal(logger, context.Signal);
        _ = DrainThenStopAsync();
    }

    // Never throws: it is observed by nobody, and the stop must come whatever happens to the drain.
    private async Task DrainThenStopAsync()
    {
        try
        {
            // While still starting there is nothing to drain.
            if (application.ApplicationStarted.IsCancellationRequested && services.GetService<GatewayDrain>() is { } drain)
            {
                await drain.RunAsync(_stopped.Token);
            }
        }
        catch (OperationCanceledException) when (_stopped.IsCancellationRequested)
        {
            // The host stopped for another reason in the meantime.
        }
        catch (Exception e)
        {
            Log.DrainFailed(logger, e);
        }

        application.StopApplication();
    }
}
