using Microsoft.Extensions.Logging;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// The one connection that listens, straight to the server: LISTEN lives in a session, which a transaction-pooling proxy does not keep.
/// Comes back by itself with backoff. Made by <see cref="PostgresSignals"/>, disposed by it or by whoever listens.
/// </summary>
internal sealed partial class PostgresListener(
    PostgresStoreOptions options, string channel, SignalListener listener, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _listening = Task.CompletedTask;
    private int _disposed;

    public void Start() => _listening = ListenAsync();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _stop.CancelAsync();
            await _listening;
            _stop.Dispose();
        }
    }

    private async Task ListenAsync()
    {
        await Task.Yield();
        var settings = options.ListenSettings();
        var name = PostgresDatabase.NameOf(settings);
        var backoff = new StoreBackoff(Random.Shared);
        string? said = null;
        while (true)
        {
            var hears = false;
            try
            {
                await using var connection = new NpgsqlConnection(settings.ConnectionString);
                connection.Notification += (_, signal) => Hear(signal.Payload);
                await connection.OpenAsync(_stop.Token);
                await RunAsync(connection, $"listen {channel}", _stop.Token);
                hears = true;
                said = null;
                backoff.Reset();
                Log.Listening(logger, name);
                listener.CaughtUp();
                await HoldAsync(connection);
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
                    listener.Lost();
                }

                var reason = PostgresFailure.Describe(e);
                if (said != reason)
                {
                    said = reason;
                    Log.Lost(logger, name, reason);
                }
            }

            try
            {
                await Task.Delay(backoff.Next(), time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Until the connection fails.</summary>
    private async Task HoldAsync(NpgsqlConnection connection)
    {
        while (true)
        {
            if (!await connection.WaitAsync(options.ListenKeepAlive, _stop.Token))
            {
                // Silence may be a peer that vanished: ask, with the command's own time limit.
                await RunAsync(connection, "select 1", _stop.Token);
            }
        }
    }

    private void Hear(string payload)
    {
        var space = payload.IndexOf(' ', StringComparison.Ordinal);
        if (space > 0)
        {
            listener.Signal(payload[..space], PostgresValues.Unescape(payload[(space + 1)..]));
        }
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancel);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "{Name}: listening for wake-ups.", EventName = "Listening")]
        public static partial void Listening(ILogger logger, string name);

        [LoggerMessage(2, LogLevel.Warning, "{Name} cannot be listened to: {Reason} Until it can, work is found by looking for it now and then.", EventName = "ListeningLost")]
        public static partial void Lost(ILogger logger, string name, string reason);
    }
}
