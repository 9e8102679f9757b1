using Mooring.Stores;

namespace Mooring.Routing;

/// <summary>What a session's view of all servers together follows from. Two that are equal give the same lists.</summary>
/// <param name="Upstreams">The servers in force.</param>
/// <param name="Catalogue">Changes of what everybody is shown.</param>
/// <param name="Own">Changes of what the session's own links show.</param>
/// <param name="Record">What the session declared.</param>
/// <param name="Names">Who holds which name.</param>
internal readonly record struct ViewBasis(object Upstreams, long Catalogue, long Own, SessionRecord Record, long Names);

/// <summary>The lists that one session saw last, so that a call finds its tool without putting the lists of all servers together.</summary>
internal sealed class SessionViews
{
    private Seen?[]? _seen;

    public MergedList? Find(ListKind kind, in ViewBasis basis) =>
        Volatile.Read(ref _seen)?[(int)kind] is { } seen && seen.Basis == basis ? seen.List : null;

    public void Keep(ListKind kind, ViewBasis basis, MergedList list)
    {
        var seen = Volatile.Read(ref _seen) ?? Interlocked.CompareExchange(ref _seen, new Seen?[ListKinds.Count], null) ?? _seen;
        Volatile.Write(ref seen[(int)kind], new Seen(basis, list));
    }

    private sealed record Seen(ViewBasis Basis, MergedList List);
}
