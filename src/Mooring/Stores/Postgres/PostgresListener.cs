using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// The one connection that listens, straight to the server: LISTEN lives in a session, which a transaction-pooling proxy does not keep.
/// Comes back by itself with backoff. Made by <see cref="PostgresSignals"/>, disposed by it or by whoever listens.
/// </summary>
/// <param name="options">How to connect.</param>
/// <param name="channel">What to listen to.</param>
/// <param name="notify">Signals to that channel; gives up where the store is away.</param>
/// <param name="listener">Who is told.</param>
/// <param name="time">For the pauses between tries, and how long they take.</param>
/// <param name="logger">For what goes wrong.</param>
internal sealed partial class PostgresListener(
    PostgresStoreOptions options, string channel, Func<string, string, Task> notify, SignalListener listener, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>What a listener signals to itself. A proxy that pools transactions takes LISTEN, and nothing ever comes.</summary>
    private const string EchoKind = "echo";

    private readonly CancellationTokenSource _stop = new();
    private Task _listening = Task.CompletedTask;
    private int _disposed;
    private string _called = "";
    private volatile string _heard = "";

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
                if (!await HearsItselfAsync(connection))
                {
                    Complain("what is signalled does not arrive; where it leads through a proxy that pools transactions, name the server itself in store.listenConnection.");
                    await PauseAsync(options.ListenKeepAlive);
                    continue;
                }

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

                Complain(PostgresFailure.Describe(e));
            }

            try
            {
                await PauseAsync(backoff.Next());
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        void Complain(string reason)
        {
            if (said != reason)
            {
                said = reason;
                Log.Lost(logger, name, reason);
            }
        }
    }

    /// <summary>Whether what is signalled comes here: only then may others be left to wait for it.</summary>
    private async Task<bool> HearsItselfAsync(NpgsqlConnection connection)
    {
        _called = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        var called = notify(EchoKind, _called);
        var began = time.GetTimestamp();
        for (var left = options.ConnectTimeout; _heard != _called && left > TimeSpan.Zero; left = options.ConnectTimeout - time.GetElapsedTime(began))
        {
            // Taken as whole milliseconds, of which none means without end.
            if (!await connection.WaitAsync((int)Math.Ceiling(left.TotalMilliseconds), _stop.Token))
            {
                // All that was left, by the connection's own clock.
                break;
            }
        }

        await called;
        return _heard == _called;
    }

    private Task PauseAsync(TimeSpan pause) => Task.Delay(pause, time, _stop.Token);

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
        if (space <= 0)
        {
            return;
        }

        var (kind, id) = (payload[..space], PostgresValues.Unescape(payload[(space + 1)..]));
        if (kind == EchoKind)
        {
            _heard = id;
        }
        else
        {
            listener.Signal(kind, id);
        }
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancel);
    }

    private static partial class Log
    {
        [LoggerMessage(1281, LogLevel.Debug, "{Name}: listening for wake-ups.", EventName = "Listening")]
        public static partial void Listening(ILogger logger, string name);

        [LoggerMessage(1282, LogLevel.Warning, "{Name} cannot be listened to: {Reason} Until it can, work is found by looking for it now and then.", EventName = "ListeningLost")]
        public static partial void Lost(ILogger logger, string name, string reason);
    }
}
