using Microsoft.Extensions.Logging;

namespace Mooring.Stores;

/// <summary>Opens a remote store in the background, for as long as it takes, so that no database can stop or slow a start (invariant 3).</summary>
internal sealed partial class StoreOpener(TimeProvider time, ILogger<StoreOpener> logger)
{
    private readonly TaskCompletionSource _firstTry = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the store is open, or is known to be away.</summary>
    public Task FirstTry => _firstTry.Task;

    /// <summary>Tries until it works. A wrong password or a database that does not exist are tried again too: somebody repairs them without knowing of us.</summary>
    /// <param name="open">Opens the store and reads what is needed; repeated from its beginning after a <see cref="StoreException"/>.</param>
    /// <param name="cancel">Ends the trying.</param>
    public async Task OpenAsync(Func<CancellationToken, Task> open, CancellationToken cancel)
    {
        var backoff = new StoreBackoff(Random.Shared);
        string? said = null;
        while (true)
        {
            try
            {
                await open(cancel);
                _firstTry.TrySetResult();
                if (said is not null)
                {
                    Log.OpenAtLast(logger);
                }

                return;
            }
            catch (StoreException e)
            {
                _firstTry.TrySetResult();
                // Once per kind of failure, not once per try.
                if (said != e.Message)
                {
                    said = e.Message;
                    Log.NotOpen(logger, e.Message);
                }
            }

            await Task.Delay(backoff.Next(), time, cancel);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1221, LogLevel.Error, "The store cannot be opened; clients get 503 until it can, and it is tried again and again. {Reason}", EventName = "StoreNotOpen")]
        public static partial void NotOpen(ILogger logger, string reason);

        [LoggerMessage(1222, LogLevel.Information, "The store is open now.", EventName = "StoreOpenAtLast")]
        public static partial void OpenAtLast(ILogger logger);
    }
}
