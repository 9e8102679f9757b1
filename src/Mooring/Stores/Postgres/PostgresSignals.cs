using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using System.Security.Cryptography;
using System.Text;

namespace Mooring.Stores.Postgres;

/// <summary>
/// Signals by NOTIFY, outside of data transactions: every commit with a NOTIFY takes a lock of the whole server, so what is signalled while one is
/// under way goes together with the next. Made and disposed by the service container, before the store.
/// </summary>
internal sealed class PostgresSignals(PostgresStore store, PostgresStoreOptions options, TimeProvider time, ILogger<PostgresSignals> logger) : IStoreSignals
{
    /// <summary>Signals that may wait to be sent; more are given up, and their listeners find what waits by looking.</summary>
    private const int MostWaiting = 10_000;

    private readonly Lock _gate = new();
    private readonly List<PostgresListener> _listeners = [];
    private HashSet<(string Channel, string Payload)> _waiting = [];
    private TaskCompletionSource _sent = NewSent();
    private Task _sending = Task.CompletedTask;
    private bool _isSending;

    public Task PublishAsync(string replica, string kind, string id)
    {
        IStoreSignals.Check(kind, id);
        lock (_gate)
        {
            if (_waiting.Count >= MostWaiting)
            {
                return Task.CompletedTask;
            }

            _waiting.Add((ChannelOf(replica), $"{kind} {PostgresValues.Escape(id)}"));
            var sent = _sent.Task;
            if (!_isSending)
            {
                _isSending = true;
                _sending = SendAsync();
            }

            return sent;
        }
    }

    public IAsyncDisposable Listen(string replica, SignalListener listener)
    {
        var listening = new PostgresListener(options, ChannelOf(replica), (kind, id) => PublishAsync(replica, kind, id), listener, time, logger);
        lock (_gate)
        {
            _listeners.Add(listening);
        }

        listening.Start();
        return new Listening(this, listening);
    }

    public async ValueTask DisposeAsync()
    {
        Task sending;
        PostgresListener[] listeners;
        lock (_gate)
        {
            sending = _sending;
            listeners = [.. _listeners];
        }

        await Task.WhenAll([sending, .. listeners.Select(listener => listener.DisposeAsync().AsTask())]);
    }

    /// <summary>A channel's name is at most 63 bytes of an identifier; a replica's may be anything.</summary>
    internal static string ChannelOf(string replica) =>
        "mooring_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(replica)).AsSpan(0, 16));

    private static TaskCompletionSource NewSent() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task SendAsync()
    {
        await Task.Yield();
        while (true)
        {
            HashSet<(string Channel, string Payload)> signals;
            TaskCompletionSource sent;
            lock (_gate)
            {
                if (_waiting.Count == 0)
                {
                    _isSending = false;
                    return;
                }

                (signals, _waiting) = (_waiting, []);
                (sent, _sent) = (_sent, NewSent());
            }

            try
            {
                await store.Database.RunAsync((connection, cancel) => NotifyAsync(connection, [.. signals], cancel), CancellationToken.None);
            }
            catch (Exception e) when (e is StoreException or ObjectDisposedException)
            {
                // Listeners look of their own accord; that the store is away is said by the store.
            }

            sent.SetResult();
        }
    }

    private static async Task<int> NotifyAsync(NpgsqlConnection connection, (string Channel, string Payload)[] signals, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand("select count(pg_notify(c, p)) from unnest($1::text[], $2::text[]) as s (c, p)", connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. signals.Select(s => s.Channel)], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. signals.Select(s => s.Payload)], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        return await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>A listener, until whoever listens is done: a replica that gets another name listens anew.</summary>
    private sealed class Listening(PostgresSignals signals, PostgresListener listener) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await listener.DisposeAsync();
            lock (signals._gate)
            {
                signals._listeners.Remove(listener);
            }
        }
    }
}
