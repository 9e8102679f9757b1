namespace Mooring.Chaos.Clients;

/// <summary>How many clients of which kind a round has. Those without sessions come on top of the sessions that were asked for.</summary>
/// <param name="Sessions">Clients that have one, those of the official libraries included.</param>
/// <param name="Official">Clients built on the official libraries.</param>
internal sealed record Population(int Sessions, int Official)
{
    /// <summary>A pair at each server over HTTP, with tasks and without, and one more.</summary>
    private const int FewestStateless = 5;

    /// <summary>Official ones pinned to 2026-07-28: one in three, the second of each three.</summary>
    public int Pinned => (Official + 1) / 3;

    /// <summary>Strict ones with a session.</summary>
    public int Strict => Sessions - (Official - Pinned);

    /// <summary>Strict ones of 2026-07-28.</summary>
    public int Stateless => Math.Max(FewestStateless, Sessions / 4);

    public int WithoutSession => Stateless + Pinned;
}
