namespace Mooring.Sessions;

/// <summary>
/// The order in which one session's places at servers are claimed and released in the store: what is about one server's name comes one after the other,
/// as it was asked for. Each decides when its turn comes, and is noted before the next one's.
/// </summary>
internal sealed class Homes
{
    private readonly Lock _gate = new();
    private Dictionary<string, Task>? _last;

    public Task<T> InTurnAsync<T>(string server, Func<Task<T>> work)
    {
        lock (_gate)
        {
            _last ??= new Dictionary<string, Task>(StringComparer.Ordinal);
            var turn = AfterAsync(_last.GetValueOrDefault(server, Task.CompletedTask), work);
            _last[server] = turn;
            return turn;
        }
    }

    private static async Task<T> AfterAsync<T>(Task before, Func<Task<T>> work)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        return await work();
    }
}
