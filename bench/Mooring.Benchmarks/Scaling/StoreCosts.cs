using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Benchmarks.Load;
using Mooring.Benchmarks.Suite;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Npgsql;

namespace Mooring.Benchmarks.Scaling;

/// <summary>The store of the gateway itself, used from this process: what one event, one touch, one letter and one wake-up cost on either side.</summary>
internal sealed class StoreCosts(ScalingOptions options, Database database)
{
    /// <summary>Of one event: a progress notification or a short result.</summary>
    private const int BodyBytes = 200;

    /// <summary>Writes under way at a time, as of a gateway under load: they share round trips and commits.</summary>
    private const int AtATime = 64;

    private readonly PostgresStoreOptions _store = new() { Connection = database.Connection };

    public async Task<(Cost Event, Cost Touch, Cost Read, Cost Letter)> MeasureAsync(CancellationToken cancellation)
    {
        await using var store = new PostgresStore(_store, TimeProvider.System, NullLogger<PostgresStore>.Instance);
        await store.OpenAsync(cancellation);
        var body = Encoding.ASCII.GetBytes(new string('b', BodyBytes));
        var now = TimeProvider.System.GetUtcNow();
        var sessions = Enumerable.Range(0, 100).Select(index => $"session-{index:D8}-of-the-bench").ToArray();
        foreach (var id in sessions)
        {
            await store.SaveSessionAsync(new SessionRecord
            {
                Id = id,
                Issuer = "",
                Subject = "",
                Transport = "http",
                Version = Requests.Version,
                InitializeParams = "{}"u8.ToArray(),
                Created = now,
                LastSeen = now,
            });
            await store.OpenStreamAsync(
                new StreamRecord { SessionId = id, StreamId = "s", Kind = StreamKind.Get, State = StreamState.Running, Changed = now }, primer: null);
        }

        var sequence = 0;
        var one = await CostAsync("an event in the log", "events", options.Sessions * 4, () =>
        {
            var number = Interlocked.Increment(ref sequence);
            return store.AppendEventAsync(new EventRecord(sessions[number % sessions.Length], "s", number, body, now));
        }, AtATime, cancellation);
        var touch = await CostAsync(
            "a session seen again", null, options.Sessions / 100,
            () => store.TouchSessionsAsync([.. sessions.Select(id => (id, TimeProvider.System.GetUtcNow()))]), 4, cancellation);

        var look = await CostAsync("a session's record read again", null, options.Sessions * 4, async () =>
            _ = await store.FindSessionAsync(sessions[Interlocked.Increment(ref sequence) % sessions.Length], CancellationToken.None), AtATime, cancellation);

        var replicas = (IReplicaStore)store;
        await replicas.BeatAsync("one", "", TimeSpan.FromMinutes(5));
        var read = 0L;
        var letters = 0;
        var letter = await CostAsync("a letter, written, read and done with", null, options.Sessions / 5, async () =>
        {
            await replicas.PostAsync("one", "call", $"{Interlocked.Increment(ref letters)}", body);
            var after = Interlocked.Read(ref read);
            if (await replicas.ReadMailboxAsync("one", after, 100, CancellationToken.None) is [.., var last])
            {
                Interlocked.CompareExchange(ref read, last.Sequence, after);
                await replicas.AcknowledgeAsync("one", last.Sequence);
            }
        }, 1, cancellation);
        return (one, touch with
        {
            GatewayMicros = touch.GatewayMicros / 100,
            DatabaseMicros = touch.DatabaseMicros / 100,
            LogBytes = touch.LogBytes / 100,
        }, look, letter);
    }

    /// <summary>Wake-ups that each have a commit of their own: nothing is put together, so this is what the server holds and not what a gateway asks of it.</summary>
    public async Task<(IReadOnlyList<NotifyRate> Rates, Cost WakeUp)> NotifyAsync(CancellationToken cancellation)
    {
        await using var store = new PostgresStore(_store, TimeProvider.System, NullLogger<PostgresStore>.Instance);
        await store.OpenAsync(cancellation);
        await using var signals = new PostgresSignals(store, _store, TimeProvider.System, NullLogger<PostgresSignals>.Instance);
        var heard = 0L;
        var listening = new TaskCompletionSource();
        var listener = new SignalListener((_, _) => Interlocked.Increment(ref heard), () => listening.TrySetResult(), () => { });
        await using var listens = signals.Listen("one", listener);
        await listening.Task.WaitAsync(cancellation);
        List<NotifyRate> rates = [];
        List<NpgsqlConnection> idle = [];
        foreach (var (senders, listeners) in new[] { (1, 1), (4, 1), (16, 1), (16, 16), (16, 64) })
        {
            // Other replicas, each on its own channel: the server wakes them all the same.
            while (idle.Count < listeners - 1)
            {
                idle.Add(new NpgsqlConnection(database.Connection));
                await idle[^1].OpenAsync(cancellation);
                await using var listen = new NpgsqlCommand($"listen {PostgresSignals.ChannelOf($"idle-{idle.Count}")}", idle[^1]);
                await listen.ExecuteNonQueryAsync(cancellation);
            }

            rates.Add(await RateAsync(senders, listeners, () => Interlocked.Read(ref heard), cancellation));
        }

        foreach (var connection in idle)
        {
            await connection.DisposeAsync();
        }

        var number = 0;
        var wakeUp = await CostAsync("a wake-up as gateways send them", null, options.Sessions * 4,
            () => signals.PublishAsync("one", "stream", $"{Interlocked.Increment(ref number)}"), AtATime, cancellation);
        return (rates, wakeUp);
    }

    private async Task<NotifyRate> RateAsync(int senders, int listeners, Func<long> heard, CancellationToken cancellation)
    {
        List<NpgsqlConnection> connections = [];
        for (var sender = 0; sender < senders; sender++)
        {
            connections.Add(new NpgsqlConnection(database.Connection));
            await connections[^1].OpenAsync(cancellation);
        }

        var (before, use) = (heard(), await database.UseAsync());
        var watch = Stopwatch.StartNew();
        var sent = (await Task.WhenAll(connections.Select((connection, sender) => Task.Run(() => SendAsync(connection, sender, watch, cancellation), cancellation)))).Sum();
        var seconds = watch.Elapsed.TotalSeconds;
        await UntilAsync(() => heard() - before >= sent, cancellation);
        var rate = new NotifyRate(senders, listeners, sent / seconds, (await database.UseAsync() - use).Processor.TotalMicroseconds / sent);

        // Only now: with its end a connection's process takes its processor time along.
        foreach (var connection in connections)
        {
            await connection.DisposeAsync();
        }

        Report.Progress($"{rate}");
        return rate;
    }

    private async Task<long> SendAsync(NpgsqlConnection connection, int sender, Stopwatch watch, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select pg_notify('{PostgresSignals.ChannelOf("one")}', $1)", connection);
        var payload = new NpgsqlParameter<string>();
        command.Parameters.Add(payload);
        await command.PrepareAsync(cancellation);
        var sent = 0L;
        while (watch.Elapsed.TotalSeconds < options.Seconds)
        {
            payload.TypedValue = $"mail {sender}-{sent++}";
            await command.ExecuteNonQueryAsync(cancellation);
        }

        return sent;
    }

    private async Task<Cost> CostAsync(string what, string? table, int count, Func<Task> act, int atATime, CancellationToken cancellation)
    {
        // Compiled, connected and planned before anything counts.
        await ManyAsync(Math.Min(count, 2_000), act, atATime, cancellation);
        var size = table is null ? double.NaN : await database.SizeAsync(table);
        var (before, use) = (Environment.CpuUsage.TotalTime, await database.UseAsync());
        await ManyAsync(count, act, atATime, cancellation);
        var (own, used) = (Environment.CpuUsage.TotalTime - before, await database.UseAsync() - use);
        var cost = new Cost(
            what, double.NaN, own.TotalMicroseconds / count, table is null ? double.NaN : (await database.SizeAsync(table) - size) / count,
            used.Processor.TotalMicroseconds / count, used.Log / count);
        Report.Progress($"{cost}");
        return cost;
    }

    private static Task ManyAsync(int count, Func<Task> act, int atATime, CancellationToken cancellation) => Parallel.ForEachAsync(
        Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = atATime, CancellationToken = cancellation }, async (_, _) => await act());

    private static async Task UntilAsync(Func<bool> isSo, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!isSo())
        {
            await Task.Delay(20, limit.Token);
        }
    }
}
