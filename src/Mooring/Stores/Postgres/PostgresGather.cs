namespace Mooring.Stores.Postgres;

/// <summary>
/// Questions about single rows, gathered: while some are under way the next wait, and then go together. Ten thousand people who only listen have their tokens asked about every 3 s,
/// which would be as many round trips.
/// </summary>
/// <typeparam name="TQuestion">What is asked.</typeparam>
/// <typeparam name="TAnswer">A row.</typeparam>
/// <param name="ask">Asks many at once. Of each answer it tells the place of its question; what is not among the answers is not there.</param>
internal sealed class PostgresGather<TQuestion, TAnswer>(Func<IReadOnlyList<TQuestion>, Task<IReadOnlyList<(int Place, TAnswer Answer)>>> ask)
    where TAnswer : class
{
    /// <summary>Questions that go together at most.</summary>
    public const int Most = 500;

    /// <summary>So many are under way at once: a slow one does not keep all others waiting.</summary>
    public const int AtOnce = 4;

    private readonly Lock _gate = new();
    private readonly Queue<(TQuestion Question, TaskCompletionSource<TAnswer?> Answer)> _waiting = new();
    private int _underWay;

    /// <returns>Null: there is none.</returns>
    public Task<TAnswer?> AskAsync(TQuestion question, CancellationToken cancel)
    {
        var answer = new TaskCompletionSource<TAnswer?>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _waiting.Enqueue((question, answer));
            if (_underWay == AtOnce)
            {
                return answer.Task.WaitAsync(cancel);
            }

            _underWay++;
        }

        _ = WorkAsync();
        return answer.Task.WaitAsync(cancel);
    }

    private async Task WorkAsync()
    {
        while (true)
        {
            var these = new List<(TQuestion Question, TaskCompletionSource<TAnswer?> Answer)>();
            lock (_gate)
            {
                while (these.Count < Most && _waiting.TryDequeue(out var next))
                {
                    these.Add(next);
                }

                if (these.Count == 0)
                {
                    _underWay--;
                    return;
                }
            }

            try
            {
                foreach (var (place, answer) in await ask([.. these.Select(one => one.Question)]))
                {
                    these[place].Answer.TrySetResult(answer);
                }

                these.ForEach(one => one.Answer.TrySetResult(null));
            }
            catch (Exception e)
            {
                these.ForEach(one => one.Answer.TrySetException(e));
            }
        }
    }
}
