using Microsoft.Extensions.Hosting;
using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;
using Mooring.Vault;

namespace Mooring;

/// <summary>
/// Starts and stops the gateway within its host. Only the embedded store is opened before the host listens; every remote party, a store on
/// another machine too, is looked at afterwards, in the background (invariant 3).
/// </summary>
internal sealed partial class MooringService(
    IStore store, StoreSeal seal, VaultUpkeep upkeep, StoreOpener opener, Catalogue catalogue, Names names, UpstreamTable upstreams, SharedLinks shared, SessionTable sessions, SessionSweeper sweeper, Heartbeat heartbeat, LeftBehind leftBehind, IHeir heir, Peers peers,
    Readiness readiness, GatewayDrain drain, ProcessGuard guard, Router router, AuditLog audit, IHostApplicationLifetime lifetime, ILogger<MooringService> logger) : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private Task _opening = Task.CompletedTask;
    private bool _storeIsOpen;

    /// <summary>Whether what is needed to serve sessions depends on another machine.</summary>
    private bool IsRemote => store.IsRemote || seal.IsRemote;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        audit.Replica = () => peers.Name;
        if (!store.IsRemote)
        {
            await OpenStoreAsync(cancellationToken);
        }

        if (!IsRemote)
        {
            await OpenAsync(cancellationToken);
        }

        upstreams.Changed += _ => names.Release(server => upstreams.Find(server) is not null);
        heartbeat.Start();
        lifetime.ApplicationStarted.Register(() => _opening = ServeAsync());
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>
    /// Nothing listens less yet, whoever stops the host. <c>mooring</c> has drained before; an application with the gateway in it has not, and would cut every stream
    /// without a word (invariant 13). Where nothing was served, or the host waits for nobody, there is nothing to drain.
    /// </summary>
    public Task StoppingAsync(CancellationToken cancellationToken) =>
        readiness.Failure is null && lifetime.ApplicationStarted.IsCancellationRequested && !cancellationToken.IsCancellationRequested
            ? drain.StopAsync(cancellationToken)
            : Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>After the host stopped listening: nobody needs the servers any more.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _opening;
        heartbeat.Dispose();
        await EndAsync("what only memory knows of sessions", SaveAsync);
        // Sessions stay in the store; only their links to processes and connectors end here.
        await Task.WhenAll(
            EndAsync("links of sessions", async () => await Task.WhenAll(sessions.All.Select(session => session.Links.CloseForStopAsync()))),
            EndAsync("shared links", shared.DisposeAsync));
        await EndAsync("the vault's upkeep", upkeep.DisposeAsync);
        await EndAsync("the replicas", peers.DisposeAsync);
        await EndAsync("the servers", upstreams.DisposeAsync);
        await EndAsync("the guard process", guard.DisposeAsync);
        await EndAsync("the store", store.DisposeAsync);
        // Last: what ends with the links is noted too.
        await EndAsync("the audit log", audit.DisposeAsync);
    }

    /// <summary>One part of a stop. Whatever becomes of it, the others are ended: processes would be left, and the store not closed.</summary>
    private async Task EndAsync(string part, Func<ValueTask> endAsync)
    {
        try
        {
            await endAsync();
        }
        catch (Exception e)
        {
            Log.EndFailed(logger, e, part);
        }
    }

    public void Dispose() => _stopping.Dispose();

    private async ValueTask SaveAsync()
    {
        try
        {
            await sweeper.SaveAsync();
        }
        catch (StoreException e)
        {
            Log.NotSaved(logger, e.Message);
        }
    }

    /// <summary>The host listens. Until a remote store is open every session is answered 503, and nothing is asked of any server.</summary>
    private async Task ServeAsync()
    {
        try
        {
            if (IsRemote)
            {
                await opener.OpenAsync(OpenAsync, _stopping.Token);
            }

            Begin();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The gateway stops before it was open.
        }
        catch (Exception e)
        {
            // Nothing can be served, and waiting does not help: an instance that looked alive would hide it.
            if (e is VaultKeyException)
            {
                Log.NoKey(logger, e.Message);
            }
            else
            {
                Log.StartFailed(logger, e);
            }

            readiness.Fail(e.Message);
            lifetime.StopApplication();
        }
    }

    /// <summary>The store is open.</summary>
    private void Begin()
    {
        catalogue.ListenToPeers();
        router.ListenToPeers();
        leftBehind.Start();
        peers.Start(heir);
        upkeep.Start();
        readiness.Started();
        shared.Start();
    }

    private async Task OpenAsync(CancellationToken cancel)
    {
        await OpenStoreAsync(cancel);
        await seal.OpenAsync(cancel);
        await catalogue.LoadAsync(upstreams.Find, cancel);
        await names.LoadAsync(cancel);
        names.Release(server => upstreams.Find(server) is not null);
        if (!store.IsRemote)
        {
            // In a store of several replicas the others' calls go on; those of a dead one are ended by whoever takes it over.
            await leftBehind.EndAllAsync(cancel);
        }
    }

    private async Task OpenStoreAsync(CancellationToken cancel)
    {
        if (!_storeIsOpen)
        {
            await store.OpenAsync(cancel);
            _storeIsOpen = true;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(601, LogLevel.Warning, "When sessions were last used was not saved: {Reason}", EventName = "SeenNotSaved")]
        public static partial void NotSaved(ILogger logger, string reason);

        [LoggerMessage(602, LogLevel.Critical, "The gateway stops: {Reason}", EventName = "VaultKeyMissing")]
        public static partial void NoKey(ILogger logger, string reason);

        [LoggerMessage(603, LogLevel.Critical, "The gateway stops: it could not be started.", EventName = "StartFailed")]
        public static partial void StartFailed(ILogger logger, Exception exception);

        [LoggerMessage(604, LogLevel.Error, "Ending {Part} failed; the stop goes on.", EventName = "EndFailed")]
        public static partial void EndFailed(ILogger logger, Exception exception, string part);
    }
}
