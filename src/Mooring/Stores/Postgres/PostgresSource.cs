using Microsoft.Extensions.Logging;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// Where connections come from. Statements are prepared once for each connection, as long as each connection has a server session of its own;
/// at the first that has not, and from then on for the life of the process, none is.
/// </summary>
/// <remarks>
/// Behind a proxy that gives each transaction another server session, the name of a prepared statement may mean a statement of somebody else,
/// which would then be run. So each new connection asks the server who it is: a proxy answers the connection with a number of its own, the
/// session that it lends has another.
/// </remarks>
internal sealed partial class PostgresSource : IAsyncDisposable
{
    private readonly NpgsqlDataSource? _prepared;
    private readonly NpgsqlDataSource _plain;
    private readonly ILogger _logger;
    private readonly string _name;
    private volatile bool _isShared;

    public PostgresSource(PostgresStoreOptions options, string name, ILogger logger)
    {
        (_name, _logger) = (name, logger);
        _plain = NpgsqlDataSource.Create(options.PoolSettings());
        if (options.PreparedSettings() is { } settings)
        {
            var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
            builder.UsePhysicalConnectionInitializer(_ => throw new NotSupportedException("Connections are opened asynchronously."), ThrowIfSharedAsync);
            _prepared = builder.Build();
        }
    }

    /// <summary>Whether statements are prepared by us.</summary>
    public bool Prepares => _prepared is not null && !_isShared;

    /// <summary>A connection of the pool.</summary>
    /// <exception cref="NpgsqlException">None could be made.</exception>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancel)
    {
        if (Prepares)
        {
            try
            {
                return await _prepared!.OpenConnectionAsync(cancel);
            }
            catch (SharedSessionException)
            {
                lock (_plain)
                {
                    if (!_isShared)
                    {
                        _isShared = true;
                        Log.Shared(_logger, _name);
                    }
                }

                _prepared!.Clear();
            }
        }

        return await _plain.OpenConnectionAsync(cancel);
    }

    /// <summary>Lets go of what lies idle.</summary>
    public void Clear()
    {
        _prepared?.Clear();
        _plain.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        if (_prepared is not null)
        {
            await _prepared.DisposeAsync();
        }

        await _plain.DisposeAsync();
    }

    private static async Task ThrowIfSharedAsync(NpgsqlConnection connection)
    {
        await using var question = new NpgsqlCommand("select pg_backend_pid()", connection);
        if (await question.ExecuteScalarAsync() is not int session || session != connection.ProcessID)
        {
            throw new SharedSessionException();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1301, LogLevel.Information, "{Name} is reached through a proxy that shares its sessions; statements are not prepared, which costs some time each.", EventName = "StoreShared")]
        public static partial void Shared(ILogger logger, string name);
    }

    /// <summary>The server session of a connection is not its own.</summary>
    private sealed class SharedSessionException : Exception;
}
