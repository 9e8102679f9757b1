namespace Mooring.Stores.Sqlite;

/// <summary>One piece of work for a store thread. Made by <see cref="SqliteStore"/>, run and completed by the writer or a reader.</summary>
internal abstract class SqliteOperation
{
    /// <summary>Does the work. May run again after a rollback, so it changes nothing but the database.</summary>
    public abstract void Run(SqliteDatabase database);

    /// <summary>Hands the result to the caller, who goes on in the thread pool, never on the store's thread.</summary>
    public abstract void Complete();

    public abstract void Fail(Exception failure);
}

internal sealed class SqliteOperation<TArgument, TResult>(
    Func<SqliteDatabase, TArgument, TResult> work, TArgument argument, CancellationToken cancel = default) : SqliteOperation
{
    private readonly TaskCompletionSource<TResult> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TResult? _result;

    public Task<TResult> Done => _done.Task;

    public override void Run(SqliteDatabase database)
    {
        cancel.ThrowIfCancellationRequested();
        _result = work(database, argument);
    }

    public override void Complete() => _done.TrySetResult(_result!);

    public override void Fail(Exception failure)
    {
        if (failure is OperationCanceledException)
        {
            _done.TrySetCanceled(cancel);
        }
        else
        {
            _done.TrySetException(failure);
        }
    }
}
