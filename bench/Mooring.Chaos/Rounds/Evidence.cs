namespace Mooring.Chaos.Rounds;

/// <summary>What shows that the fault of a round really happened. A round without it proves nothing and counts as broken.</summary>
internal sealed class Evidence
{
    private readonly List<(string What, double Amount, double AtLeast)> _shown = [];

    /// <summary>Something that was counted or measured while the fault lasted, and how much of it there must be at least.</summary>
    public void Show(string what, double amount, double atLeast = 1) => _shown.Add((what, amount, atLeast));

    /// <summary>Events that a server lost itself: so many may be missing.</summary>
    public long Forgiven { get; private set; }

    public void Forgive(long events, string what)
    {
        Forgiven += events;
        Show(what, events, atLeast: 0);
    }

    /// <summary>What there should have been more of.</summary>
    public IEnumerable<string> Missing => _shown.Where(shown => shown.Amount < shown.AtLeast).Select(shown => $"{shown.Amount:0.#} {shown.What}");

    public bool IsEmpty => _shown.Count == 0;

    /// <summary>Same things are added up, in the order in which they were first seen.</summary>
    public override string ToString() =>
        string.Join(", ", _shown.GroupBy(shown => shown.What).Select(same => $"{same.Sum(shown => shown.Amount):0.#} {same.Key}"));
}
