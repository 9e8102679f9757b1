using Amazon.DynamoDBv2.Model;
using Microsoft.Extensions.Logging;

namespace Mooring.Stores.DynamoDb;

/// <summary>The one query of a replica that looks for what is signalled to it. Made by <see cref="DynamoSignals"/>, disposed by it or by whoever listens.</summary>
/// <param name="table">Where to look.</param>
/// <param name="partition">Where the replica's signals lie.</param>
/// <param name="listener">Who is told.</param>
/// <param name="removed">Told when it has stopped.</param>
/// <param name="time">For the pauses.</param>
/// <param name="logger">For what goes wrong.</param>
internal sealed partial class DynamoListener(
    DynamoTable table, string partition, SignalListener listener, Action<DynamoListener> removed, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _hurry = new(0, 1);
    private Task _listening = Task.CompletedTask;
    private int _disposed;

    public void Start() => _listening = ListenAsync();

    /// <summary>Something is about to come.</summary>
    public void Hurry()
    {
        try
        {
            _hurry.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is told already.
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            removed(this);
            await _stop.CancelAsync();
            await _listening;
            _stop.Dispose();
        }
    }

    private async Task ListenAsync()
    {
        await Task.Yield();
        var pace = new DynamoPace(Random.Shared);
        var backoff = new StoreBackoff(Random.Shared);
        var hears = false;
        string? said = null;
        while (!_stop.IsCancellationRequested)
        {
            TimeSpan pause;
            try
            {
                var signals = await TakeAsync();
                if (!hears)
                {
                    (hears, said) = (true, null);
                    backoff.Reset();
                    listener.CaughtUp();
                }

                foreach (var signal in signals)
                {
                    listener.Signal(signal.Text("kind"), signal.Text("id"));
                }

                if (signals.Count > 0)
                {
                    pace.Traffic();
                }
                else
                {
                    pace.InVain();
                }

                pause = pace.Next();
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Whatever it is: with nobody listening every wake-up is late, so this must not end.
                if (hears)
                {
                    hears = false;
                    listener.Lost();
                }

                if (said != e.Message)
                {
                    said = e.Message;
                    Log.Lost(logger, e.Message);
                }

                pause = backoff.Next();
            }

            await PauseAsync(pause, pace);
        }
    }

    /// <summary>
    /// Takes them away before anybody is told: one that comes again after that is another, and what it says was written before it, so whoever is
    /// told looks at a store that has it.
    /// </summary>
    private async Task<IReadOnlyList<Dictionary<string, AttributeValue>>> TakeAsync()
    {
        var found = await table.QueryAsync(new DynamoQuery(partition), _stop.Token);
        await table.DeleteAllAsync(found.Select(DynamoKeys.Of));
        return [.. found.OrderBy(signal => signal.Number("n"))];
    }

    private async Task PauseAsync(TimeSpan pause, DynamoPace pace)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            var hurried = _hurry.WaitAsync(either.Token);
            await Task.WhenAny(hurried, Task.Delay(pause, time, either.Token));
            await either.CancelAsync();
            if (hurried.IsCompletedSuccessfully)
            {
                // The answer takes a moment; from now on it is looked for as after traffic.
                pace.Traffic();
                await Task.Delay(pace.Next(), time, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // It is disposed, which the loop sees.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1341, LogLevel.Warning, "Signals cannot be looked for: {Reason} Until they can, work is found by looking for it now and then.", EventName = "ListeningLost")]
        public static partial void Lost(ILogger logger, string reason);
    }
}
