using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>What has to be done from time to time: the next data key, and tokens that are due. Owned by the service that starts the gateway.</summary>
internal sealed partial class VaultUpkeep(StoreSeal seal, Providers providers, KeyRing keys, Tokens tokens, TimeProvider time, ILogger<VaultUpkeep> logger) : IAsyncDisposable
{
    /// <summary>Between two rounds, give or take a fifth: replicas need not all look at once.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(15);

    /// <summary>Tokens per round. What is left over is due in the next one, or at its user's next call.</summary>
    private const int PerRound = 500;

    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _rounds = [];
    private Task _work = Task.CompletedTask;

    /// <summary>The keys are there.</summary>
    public void Start()
    {
        if (seal.IsNeeded || providers.Any)
        {
            _work = RunAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stopping.IsCancellationRequested)
        {
            await _stopping.CancelAsync();
            await _work;
            await Task.WhenAll(_rounds);
            _stopping.Dispose();
        }
    }

    private async Task RunAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            await TryAsync(async () =>
            {
                await Task.Delay(Pause * (0.8 + (0.4 * Random.Shared.NextDouble())), time, _stopping.Token);
                await keys.RotateAsync(_stopping.Token);
            });

            // Not waited for: a provider that hangs would keep the tokens of the others waiting.
            _rounds.RemoveAll(round => round.IsCompleted);
            _rounds.Add(TryAsync(() => tokens.RefreshDueAsync(PerRound, _stopping.Token)));
        }
    }

    private async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // It ends.
        }
        catch (StoreException)
        {
            // The store says so itself; the next round tries again.
        }
        catch (Exception e)
        {
            Log.Failed(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1481, LogLevel.Error, "The vault's upkeep failed; it goes on.", EventName = "VaultUpkeepFailed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
