using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>One kind of write in SQL. Made once per kind.</summary>
internal abstract class PostgresStatement
{
    /// <summary>Run in this order, each with all the parameters. Only the last may give rows.</summary>
    public required IReadOnlyList<string> Sql { get; init; }

    /// <summary>Whether the last of <see cref="Sql"/> gives rows.</summary>
    public bool HasRows { get; init; }

    /// <summary>Whether many writes of this kind are one statement: parameters are arrays, and the first column of a row is the write's place, from 1.</summary>
    public abstract bool IsShared { get; }

    public abstract void Bind(NpgsqlParameterCollection parameters, IReadOnlyList<PostgresWrite> writes);

    public abstract Task ReadAsync(NpgsqlDataReader rows, IReadOnlyList<PostgresWrite> writes, CancellationToken cancel);
}

internal sealed class PostgresStatement<TArgument, TResult> : PostgresStatement
{
    /// <summary>Gives all the writes' arguments to the statement; there is one, unless it is shared.</summary>
    public required Action<NpgsqlParameterCollection, IReadOnlyList<TArgument>> Parameters { get; init; }

    /// <summary>A write without a row has the default result.</summary>
    public Func<NpgsqlDataReader, TResult>? Result { get; init; }

    /// <summary>Null: not shared. Else what two writes in one statement must not have in common.</summary>
    public Func<TArgument, object>? Identity { get; init; }

    /// <summary>What is wrong with a write that the database took notice of but did not do; the last says whether that may be the trace of an earlier try.</summary>
    public Func<TArgument, TResult?, bool, Exception?>? Refusal { get; init; }

    public override bool IsShared => Identity is not null;

    public override void Bind(NpgsqlParameterCollection parameters, IReadOnlyList<PostgresWrite> writes) =>
        Parameters(parameters, [.. writes.Select(write => ((PostgresWrite<TArgument, TResult>)write).Argument)]);

    public override async Task ReadAsync(NpgsqlDataReader rows, IReadOnlyList<PostgresWrite> writes, CancellationToken cancel)
    {
        while (await rows.ReadAsync(cancel))
        {
            var write = writes[IsShared ? (int)rows.GetInt64(0) - 1 : 0];
            ((PostgresWrite<TArgument, TResult>)write).Result = Result!(rows);
        }
    }
}
