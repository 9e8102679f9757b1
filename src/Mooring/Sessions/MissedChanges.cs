using Mooring.Routing;

namespace Mooring.Sessions;

/// <summary>
/// What clients without sessions have missed of the changes of lists between one <c>subscriptions/listen</c> and the next: a drain closes them for some
/// seconds, and what is on the way cuts them. The version has no place to resume from (2026-07-28, basic/patterns/subscriptions). Not safe for several
/// threads at once.
/// </summary>
/// <remarks>
/// Nothing says which of those who left comes back. So whoever comes is told what any of them has missed, and the one that has missed least is taken for it:
/// nobody is told too little, and somebody at times that a list changed that it has read since, which costs one reading of it. One that stays away is
/// forgotten after a while, so that it does not have the others told again and again.
/// </remarks>
internal sealed class MissedChanges(TimeProvider time)
{
    /// <summary>Beyond, two count as one that has missed what either has.</summary>
    private const int MostAbsent = 32;

    /// <summary>How long one that left is expected back: far longer than a drain, or a connection that is made anew, takes.</summary>
    private static readonly TimeSpan Expected = TimeSpan.FromMinutes(10);

    private readonly List<Absent> _absent = [];

    /// <summary>Whether anybody is away.</summary>
    public bool HasAny => _absent.Count > 0;

    /// <summary>A listen for these lists is over.</summary>
    public void Left(IReadOnlySet<ListKind> kinds)
    {
        Forget();
        if (kinds.Count == 0)
        {
            return;
        }

        if (_absent.Count == MostAbsent)
        {
            _absent[1].Kinds.UnionWith(_absent[0].Kinds);
            _absent[1].Missed.UnionWith(_absent[0].Missed);
            _absent.RemoveAt(0);
        }

        _absent.Add(new Absent([.. kinds], [], time.GetTimestamp()));
    }

    /// <summary>A list is another one.</summary>
    public void Changed(ListKind kind)
    {
        foreach (var one in _absent)
        {
            if (one.Kinds.Contains(kind))
            {
                one.Missed.Add(kind);
            }
        }
    }

    /// <summary>A listen for these lists begins.</summary>
    /// <returns>Which of them have changed since it may have listened last; null: it is none of those who left here, as far as is known.</returns>
    public IReadOnlySet<ListKind>? Came(IReadOnlySet<ListKind> kinds)
    {
        Forget();
        var candidates = _absent.Where(one => one.Kinds.Overlaps(kinds)).ToList();
        if (candidates.Count == 0)
        {
            return null;
        }

        _absent.Remove(candidates.MinBy(one => one.Missed.Count)!);
        return candidates.SelectMany(one => one.Missed).Where(kinds.Contains).ToHashSet();
    }

    private void Forget()
    {
        var now = time.GetTimestamp();
        _absent.RemoveAll(one => time.GetElapsedTime(one.Left, now) > Expected);
    }

    /// <param name="Kinds">What it listened for.</param>
    /// <param name="Missed">What of that has changed since.</param>
    /// <param name="Left">When, a timestamp.</param>
    private sealed record Absent(HashSet<ListKind> Kinds, HashSet<ListKind> Missed, long Left);
}
