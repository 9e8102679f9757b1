using System.Text.Json.Nodes;

namespace Mooring.Chaos.Clients;

/// <summary>
/// What one session was promised in notifications and progress, and what came. Announced numbers count once the announcing call was
/// answered, progress once its call was: what an unfinished call would have said, nobody owes.
/// </summary>
/// <param name="journal">Where it is written down.</param>
/// <param name="isPrimed">Whether streams of this version, the server's to the gateway too, begin with an event id.</param>
internal sealed class EventBook(Journal journal, bool isPrimed)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _seen = new(StringComparer.Ordinal);
    private readonly HashSet<string> _owed = new(StringComparer.Ordinal);
    private readonly List<long> _generations = [];
    private long _known;
    private int _next;
    private int _withoutId;

    /// <summary>Sets numbers aside for an announcement.</summary>
    public int Reserve(int count)
    {
        lock (_gate)
        {
            var first = _next + 1;
            _next += count;
            return first;
        }
    }

    public void OweAnnounced(int first, int count) => Owe(Enumerable.Range(first, count).Select(number => $"n{number}"));

    public void OweProgress(string key, int steps) => Owe(Enumerable.Range(1, steps).Select(step => $"{key}/{step}"));

    /// <summary>The list of tools was made this generation: it is owed to be told that it is another one.</summary>
    public void OweGeneration(long generation)
    {
        lock (_gate)
        {
            _generations.Add(generation);
        }
    }

    /// <summary>What the list was when it was read because it was told to be another one, or because nothing was heard for a while.</summary>
    public void SawGeneration(long generation)
    {
        journal.Write($"sees generation {generation}");
        lock (_gate)
        {
            // An older list does not take back what is known.
            _known = Math.Max(_known, generation);
        }
    }

    /// <summary>
    /// A stream broke before the client had any event id to come back with: without a primer before the first message, with one before the first
    /// byte. Of what was announced so far the gateway cannot know what arrived, and the client cannot say.
    /// </summary>
    public void BrokeWithoutId()
    {
        lock (_gate)
        {
            _withoutId = _next;
        }

        journal.Write($"a stream broke before it gave an id; up to n{_withoutId} nobody can ask for");
    }

    /// <param name="message">What came.</param>
    /// <param name="where">On which connection, under which event id.</param>
    public void Saw(JsonObject message, string where)
    {
        var parameters = message["params"];
        var what = (string?)message["method"] switch
        {
            "notifications/message" => $"n{(int?)parameters?["data"]?["number"]}",
            // Below the servers' first one the gateway says by itself that a call goes on.
            "notifications/progress" when (double?)parameters?["progress"] >= 1 => $"{(string?)parameters["progressToken"]}/{(int?)parameters["progress"]}",
            _ => null,
        };
        if (what is null)
        {
            return;
        }

        journal.Write($"{what} {where}");
        lock (_gate)
        {
            _seen[what] = _seen.GetValueOrDefault(what) + 1;
        }
    }

    /// <summary>Whether nothing is missing any more.</summary>
    public bool IsSettled()
    {
        lock (_gate)
        {
            return _owed.All(what => _seen.ContainsKey(what) || IsWithoutId(what)) && _generations.TrueForAll(generation => generation <= _known);
        }
    }

    /// <summary>Hands the sums over and begins anew, as after the loss of a session, whose events nobody can ask for any more.</summary>
    public void Close(Tally tally, string who)
    {
        lock (_gate)
        {
            var lost = _owed.Where(what => !_seen.ContainsKey(what)).ToList();
            var repeated = _seen.Where(entry => entry.Value > 1).ToList();
            var first = isPrimed ? 0 : _seen.Keys.Select(NumberOf).Where(number => number > 0).DefaultIfEmpty(int.MaxValue).Min();
            // Before the first one that came, the gateway had no id of the server's to come back with.
            var withoutId = lost.RemoveAll(what => IsWithoutId(what) || (NumberOf(what) > 0 && NumberOf(what) < first));
            lost.AddRange(_generations.Where(generation => generation > _known).Select(generation => $"generation {generation} (known {_known})"));
            tally.Events(_owed.Count + _generations.Count, lost.Count, withoutId, repeated.Sum(entry => entry.Value - 1));
            if (lost.Count > 0)
            {
                tally.Note($"{who}: {lost.Count} events lost, the first {lost[0]}");
            }

            if (repeated.Count > 0)
            {
                tally.Note($"{who}: {repeated.Count} events repeated, the first {repeated[0].Key}");
            }

            if (lost.Count + withoutId + repeated.Count > 0)
            {
                tally.Keep(
                [
                    $"# session {who}",
                    $"lost: {string.Join(' ', lost)}; {withoutId} lost without an id; repeated: {string.Join(' ', repeated.Select(entry => entry.Key))}",
                    .. journal.Lines,
                ]);
            }

            _withoutId = 0;
            _owed.Clear();
            _generations.Clear();
            _seen.Clear();
        }
    }

    private bool IsWithoutId(string what) => NumberOf(what) is > 0 and var number && number <= _withoutId;

    /// <summary>Of an announcement; 0 for progress.</summary>
    private static int NumberOf(string what) => what[0] == 'n' && int.TryParse(what.AsSpan(1), out var number) ? number : 0;

    private void Owe(IEnumerable<string> what)
    {
        lock (_gate)
        {
            _owed.UnionWith(what);
        }
    }
}
