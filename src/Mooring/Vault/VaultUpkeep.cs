using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>What has to be done from time to time: the next data key, and tokens that are due. Owned by the service that starts the gateway.</summary>
internal sealed partial class VaultUpkeep(StoreSeal seal, Providers providers, KeyRing keys, Tokens tokens, VaultMetrics metrics, TimeProvider time, ILogger<VaultUpkeep> logger) : IAsyncDisposable
{
    /// <summary>Between two rounds, give or take a fifth: replicas need not all look at once.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(15);

    /// <summary>Tokens per round. What is left over is due in the next one, or at its user's next call.</summary>
    private const int PerRound = 500;

    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _rounds = [];
    private Task _work = Task.CompletedTask;
    private string? _notRotated;

    /// <summary>The keys are there.</summary>
    public void Start()
    {
        if (seal.IsNeeded || providers.Any)
        {
            metrics.KeyAge = () => keys.Age;
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
                await RotateAsync();
            });

            // Not waited for: a provider that hangs would keep the tokens of the others waiting.
            _rounds.RemoveAll(round => round.IsCompleted);
            _rounds.Add(TryAsync(() => tokens.RefreshDueAsync(PerRound, _stopping.Token)));
        }
    }

    /// <summary>A key management service says nothing where the gateway's people would see it, and without it rows go on to be sealed with the key before: once per kind of failure.</summary>
    private async Task RotateAsync()
    {
        try
        {
            await keys.RotateAsync(_stopping.Token);
            if (_notRotated is not null)
            {
                _notRotated = null;
                Log.RotatedAtLast(logger);
            }
        }
        catch (Exception e) when (e is StoreException or VaultKeyException)
        {
            if (_notRotated != e.Message)
            {
                _notRotated = e.Message;
                Log.NotRotated(logger, (int)(keys.Age ?? TimeSpan.Zero).TotalDays, e.Message);
            }
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
        [LoggerMessage(1482, LogLevel.Error, "The next data key cannot be made; rows are sealed with the one before, which is {Days} days old, and it is tried again and again. {Reason}", EventName = "VaultKeyNotRotated")]
        public static partial void NotRotated(ILogger logger, int days, string reason);

        [LoggerMessage(1483, LogLevel.Information, "The next data key is there at last.", EventName = "VaultKeyRotatedAtLast")]
        public static partial void RotatedAtLast(ILogger logger);

        [LoggerMessage(1481, LogLevel.Error, "The vault's upkeep failed; it goes on.", EventName = "VaultUpkeepFailed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
