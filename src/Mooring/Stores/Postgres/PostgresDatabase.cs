using Microsoft.Extensions.Logging;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// The way to the database: a bounded pool, and the knowledge whether it answers. Made and disposed by <see cref="PostgresStore"/>.
/// While the database is known to be away every use fails at once, and one loop alone tries to reach it. It is away when a connection cannot be
/// had or breaks again and again; what only takes too long fails alone, unless another connection gets no answer either. One that is full is not away:
/// it answers, and takes what fits into the room that its files have left; what does not fails alone.
/// </summary>
/// <remarks>
/// Each use is one implicit transaction: a single command, or a batch sent with one Sync. Nothing is left in the server's session
/// (no SET, no temporary table, no session lock; prepared statements only where no proxy is in between, see <see cref="PostgresSource"/>),
/// so a proxy may give the next use another one.
/// </remarks>
internal sealed partial class PostgresDatabase : IAsyncDisposable
{
    /// <summary>Tries of one use: a connection that died in the pool is noticed only when it is used, and a deadlock has one victim.</summary>
    private const int Tries = 3;

    /// <summary>Without a failure for so long, the next write that succeeds shows that there is room: on a full disk some fit and some do not.</summary>
    internal static readonly TimeSpan Room = TimeSpan.FromSeconds(5);

    private readonly PostgresStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PostgresSource _source;
    private readonly SemaphoreSlim _free;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly string _apart;
    private Task _probing = Task.CompletedTask;
    private Task<Exception?>? _checking;
    private volatile Absence? _away;
    private volatile Fullness? _full;
    private bool _open;
    private bool _disposed;

    public PostgresDatabase(PostgresStoreOptions options, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        Name = NameOf(options.PoolSettings());
        _source = new PostgresSource(options, Name, logger);
        // The lanes' connections are theirs, so that reads never keep writes waiting for one.
        _free = new SemaphoreSlim(Math.Max(1, options.MaxConnections - options.Lanes));
        _apart = options.CheckSettings().ConnectionString;
        _away = new Absence($"{Name} was not reached yet.", time.GetUtcNow());
    }

    /// <summary>Where and what, for messages.</summary>
    public string Name { get; }

    public bool IsAway => _away is not null;

    /// <summary>Since when it is away or has no room; null while it is there and takes what is written.</summary>
    public DateTimeOffset? AwaySince => _away?.Since ?? _full?.Since;

    /// <summary>Connects, and brings the schema up to date. One try.</summary>
    public async Task OpenAsync(CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Volatile.Read(ref _open))
        {
            return;
        }

        try
        {
            await using var connection = await _source.OpenAsync(cancel);
            var (before, after) = await PostgresSchema.ApplyAsync(connection, PostgresSchema.Migrations, _options.MigrationTimeout, Name, cancel);
            Log.Opened(_logger, Name, before, after);
        }
        catch (StoreException e)
        {
            StayAway(e.Message);
            throw;
        }
        catch (Exception e) when (PostgresFailure.IsOurs(e))
        {
            throw new StoreException(StayAway(Unreachable(e)), e);
        }

        Volatile.Write(ref _open, true);
        _away = null;
    }

    /// <summary>Uses a connection for one implicit transaction that may be repeated. Waits for a free one, but not for long.</summary>
    public async Task<T> RunAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancel)
    {
        ThrowIfAway();
        if (!await WaitForFreeAsync(cancel))
        {
            throw new StoreException($"{Name} is too busy: no connection of this gateway became free in {_options.ConnectTimeout.TotalSeconds:0.#} s (store.maxConnections is {_options.MaxConnections}).");
        }

        try
        {
            return await TryAsync((connection, _, token) => work(connection, token), cancel);
        }
        finally
        {
            _free.Release();
        }
    }

    /// <summary>The same for a lane, which has a connection of its own in the pool.</summary>
    /// <param name="work">Its second argument says whether it was tried before, and may have been committed.</param>
    public async Task<T> TryAsync<T>(Func<NpgsqlConnection, bool, CancellationToken, Task<T>> work, CancellationToken cancel)
    {
        var lost = false;
        for (var attempt = 1; ; attempt++)
        {
            ThrowIfAway();
            await using var connection = await ConnectAsync(cancel);
            try
            {
                return await work(connection, lost, cancel);
            }
            catch (Exception e) when (PostgresFailure.IsConnection(e))
            {
                // What else lies idle in the pool is as dead as this one.
                _source.Clear();
                lost = true;
                if (attempt == Tries)
                {
                    throw MarkAway(e);
                }
            }
            catch (Exception e) when (PostgresFailure.IsTimeout(e))
            {
                // Its connection may hang, or a lock in its way be held; only another connection can tell whether the database is there.
                throw await CheckAsync() is { } absence ? MarkAway(absence) : new StoreException($"{Name} failed: {PostgresFailure.Describe(e)}", e);
            }
            catch (NpgsqlException e) when (!PostgresFailure.IsConflict(e) || attempt == Tries)
            {
                if (PostgresFailure.IsFull(e))
                {
                    NoteFull(e);
                }

                throw new StoreException($"{Name} failed: {PostgresFailure.Describe(e)}", e);
            }
            catch (NpgsqlException)
            {
                // A conflict: rolled back, so the next try finds the other transaction done.
            }
        }
    }

    public void ThrowIfAway()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_away is { } absence)
        {
            throw new StoreException(absence.Reason);
        }
    }

    /// <summary>Something was written.</summary>
    public void NoteWritten()
    {
        if (_full is { } full && _time.GetElapsedTime(full.FailedLast) >= Room && Interlocked.CompareExchange(ref _full, null, full) == full)
        {
            Log.HasRoom(_logger, Name, (_time.GetUtcNow() - full.Since).TotalSeconds);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _stop.CancelAsync();
        Task probing;
        Task? checking;
        lock (_gate)
        {
            (probing, checking) = (_probing, _checking);
        }

        await probing;
        await (checking ?? Task.CompletedTask);
        await _source.DisposeAsync();
        _stop.Dispose();
        _free.Dispose();
    }

    internal static string NameOf(NpgsqlConnectionStringBuilder settings) =>
        $"The PostgreSQL database '{settings.Database ?? settings.Username}' at {settings.Host}:{settings.Port}";

    private async Task<bool> WaitForFreeAsync(CancellationToken cancel)
    {
        if (_free.Wait(0, CancellationToken.None))
        {
            return true;
        }

        using var late = new CancellationTokenSource(_options.ConnectTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancel);
        try
        {
            await _free.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancel)
    {
        try
        {
            return await _source.OpenAsync(cancel);
        }
        catch (Exception e) when (PostgresFailure.IsOurs(e))
        {
            throw MarkAway(e);
        }
    }

    private StoreException MarkAway(Exception failure)
    {
        var reason = Unreachable(failure);
        lock (_gate)
        {
            if (!_disposed && _away is null)
            {
                _away = new Absence(reason, _time.GetUtcNow());
                Log.Away(_logger, reason);
                _probing = ProbeAsync(reason);
            }
        }

        return new StoreException(reason, failure);
    }

    private void NoteFull(Exception failure)
    {
        var before = _full;
        if (Interlocked.CompareExchange(ref _full, new Fullness(before?.Since ?? _time.GetUtcNow(), _time.GetTimestamp()), before) is null && before is null)
        {
            Log.Full(_logger, Name, PostgresFailure.Describe(failure));
        }
    }

    /// <summary>Asks the database whether it is there, on a connection of its own; one question for all that want to know.</summary>
    /// <returns>Null, or why it is not.</returns>
    private Task<Exception?> CheckAsync()
    {
        lock (_gate)
        {
            return _checking is { IsCompleted: false } running ? running : _checking = AskAsync();
        }
    }

    private async Task<Exception?> AskAsync()
    {
        try
        {
            // Not from the pool: what is in there may be as stuck as the one that raised the question.
            await using var connection = new NpgsqlConnection(_apart);
            await connection.OpenAsync(_stop.Token);
            await using var question = new NpgsqlCommand("select 1", connection);
            await question.ExecuteScalarAsync(_stop.Token);
            return null;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.TooManyConnections)
        {
            // There, and answering; just not to one more.
            return null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (Exception e) when (PostgresFailure.IsOurs(e))
        {
            return e;
        }
    }

    /// <summary>Alone tries to reach a database that is away, so that it is not greeted by thousands when it comes back.</summary>
    private async Task ProbeAsync(string said)
    {
        await Task.Yield();
        var started = _time.GetTimestamp();
        var backoff = new StoreBackoff(Random.Shared);
        while (true)
        {
            try
            {
                await Task.Delay(backoff.Next(), _time, _stop.Token);
                await using var connection = await _source.OpenAsync(_stop.Token);
                await using var question = new NpgsqlCommand("select 1", connection);
                await question.ExecuteScalarAsync(_stop.Token);
                break;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Whatever it is: nobody else tries, so this must not end.
                _source.Clear();
                var reason = StayAway(Unreachable(e));
                if (reason != said)
                {
                    said = reason;
                    Log.Away(_logger, said);
                }
            }
        }

        Log.Back(_logger, Name, _time.GetElapsedTime(started).TotalSeconds);
        _away = null;
    }

    /// <summary>Away since before, whatever the reason is now.</summary>
    private string StayAway(string reason)
    {
        _away = new Absence(reason, _away?.Since ?? _time.GetUtcNow());
        return reason;
    }

    private string Unreachable(Exception failure) => $"{Name} cannot be reached: {PostgresFailure.Describe(failure)}";

    private sealed record Absence(string Reason, DateTimeOffset Since);

    private sealed record Fullness(DateTimeOffset Since, long FailedLast);
}
