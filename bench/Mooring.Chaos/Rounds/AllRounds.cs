using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>All rounds, in the order of the table.</summary>
internal static class AllRounds
{
    private static readonly (string Name, Func<Round> Make)[] Known =
    [
        ("kill", () => new KillRound()), ("kill-durable", () => new KillRound("durable")), ("rolling", () => new RollingRound()), ("upgrade", () => new UpgradeRound()), ("scale", () => new ScaleRound()),
        ("quiet", () => new QuietRound()), ("age", () => new AgeRound()), ("half-open", () => new HalfOpenRound()),
        ("slow-readers", () => new SlowReadersRound()),
        ("server-killed", () => new ServerKilledRound()), ("server-forgets", () => new ServerForgetsRound()), ("server-hangs", () => new ServerHangsRound()),
        ("store-stopped", () => new StoreStoppedRound()), ("store-killed", () => new StoreKilledRound()),
        ("store-cut", () => new StoreCutRound()), ("store-delayed", () => new StoreDelayedRound()),
        ("kill-one", () => new KillOneRound()), ("sigterm", () => new SigtermRound()), ("reload", () => new ReloadRound()),
        ("clock", () => new ClockRound()), ("disk-full", () => new DiskFullRound()),
    ];

    public static IEnumerable<string> Names => Known.Select(round => round.Name);

    /// <summary>The rounds of these names, or all, but for the one that needs a build that was not made; each is made when it is its turn.</summary>
    public static IEnumerable<Round> Of(IReadOnlyList<string> only) =>
        Known.Where(round => only.Count == 0 ? round.Name != "upgrade" || Stand.OlderProgram is not null : only.Contains(round.Name, StringComparer.Ordinal)).Select(round => round.Make());
}
