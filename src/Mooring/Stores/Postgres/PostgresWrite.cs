namespace Mooring.Stores.Postgres;

/// <summary>One write on its way through a lane. Made by <see cref="PostgresStore"/>, run and completed by the lane.</summary>
/// <param name="key">Writes with the same key keep their order; null: this one keeps its place among all others of the lane.</param>
internal abstract class PostgresWrite(string? key)
{
    public string? Key => key;

    /// <summary>Whether it was sent before and may have been committed: the connection broke before the answer.</summary>
    public bool MayBeDone { get; set; }

    /// <summary>Bytes of its bodies, about.</summary>
    public abstract int Size { get; }

    public abstract PostgresStatement Statement { get; }

    /// <summary>Null, or what two writes in one statement must not have in common.</summary>
    public abstract object? Identity { get; }

    /// <summary>After the commit: hands the result to the caller, who goes on in the thread pool.</summary>
    public abstract void Complete();

    public abstract void Fail(Exception failure);
}

internal sealed class PostgresWrite<TArgument, TResult>(
    PostgresStatement<TArgument, TResult> statement, string? key, TArgument argument, int size) : PostgresWrite(key)
{
    private readonly TaskCompletionSource<TResult?> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TArgument Argument => argument;

    public TResult? Result { get; set; }

    public Task<TResult?> Done => _done.Task;

    public override int Size => size;

    public override PostgresStatement Statement => statement;

    public override object? Identity => statement.Identity?.Invoke(argument);

    public override void Complete()
    {
        if (statement.Refusal?.Invoke(argument, Result, MayBeDone) is { } refusal)
        {
            _done.TrySetException(refusal);
        }
        else
        {
            _done.TrySetResult(Result);
        }
    }

    public override void Fail(Exception failure) => _done.TrySetException(failure);
}
