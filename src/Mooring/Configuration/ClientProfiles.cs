using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>What counts for one client.</summary>
/// <param name="Primer">Whether its streams may begin with an event without data.</param>
/// <param name="MissingSession">What becomes of its messages that name no session.</param>
/// <param name="GetWithoutSession">What becomes of its GETs that name none.</param>
/// <param name="ProgressEvery">How often it hears of a call; null: as <c>calls.progressEvery</c> says.</param>
internal sealed record ClientTraits(bool Primer, MissingSessionRule MissingSession, SessionlessGetRule GetWithoutSession, TimeSpan? ProgressEvery)
{
    public static readonly ClientTraits Usual = new(true, MissingSessionRule.Refuse, SessionlessGetRule.Sse, null);
}

/// <summary>A known way of a client that is not as the protocol wants it, and what is done about it.</summary>
/// <param name="What">The way.</param>
/// <param name="Set">The setting that answers it; null where what is done for all clients does.</param>
/// <param name="To">Its value as it would be written.</param>
/// <param name="Always">What is done for all clients.</param>
/// <param name="Source">Where it is told of.</param>
internal sealed record ClientQuirk(string What, string? Set, string? To, string? Always, string Source);

/// <summary>A kind of client as it comes with the gateway.</summary>
internal sealed record ClientProfile(ClientConfig Config, string About, IReadOnlyList<ClientQuirk> Quirks);

/// <summary>
/// What is done otherwise for which clients: what comes with the gateway (<c>client-profiles.json</c>), and over it <c>clients</c> of the configuration. Of
/// profiles that fit, each setting counts as the first says that has it, those of the configuration first. Immutable, one for each snapshot.
/// </summary>
internal sealed class ClientProfiles
{
    private static readonly ConditionalWeakTable<MooringConfig, ClientProfiles> s_all = [];

    private readonly List<Entry> _entries;

    private ClientProfiles(IReadOnlyList<ClientConfig> configured)
    {
        var known = BuiltIn.Select(p => p.Config).ToList();
        var own = configured.Where(c => known.TrueForAll(k => k.Name != c.Name));
        _entries = [.. own.Concat(known.Select(k => configured.FirstOrDefault(c => c.Name == k.Name) is { } over ? Over(k, over) : k)).Select(c => new Entry(c))];
    }

    /// <summary>The date of the data that comes with the gateway.</summary>
    public static string DataVersion { get; private set; } = "";

    public static IReadOnlyList<ClientProfile> BuiltIn { get; } = Read();

    public static ClientProfiles Of(MooringConfig config) => s_all.GetValue(config, static c => new ClientProfiles(c.Clients));

    /// <summary>By what a client says of itself.</summary>
    public ClientTraits OfClient(string? name, string? version) => name is null ? ClientTraits.Usual
        : Merge(_entries.Where(e => e.Config.Names?.Contains(name, StringComparer.OrdinalIgnoreCase) == true && (e.Bounds is null || e.Bounds.Hold(version))));

    /// <summary>By the program that sends a request, where nothing else is known of it.</summary>
    public ClientTraits OfAgent(string? userAgent) => string.IsNullOrEmpty(userAgent) ? ClientTraits.Usual
        : Merge(_entries.Where(e => e.Config.UserAgents?.Any(a => userAgent.StartsWith(a, StringComparison.OrdinalIgnoreCase)) == true));

    private static ClientTraits Merge(IEnumerable<Entry> fitting)
    {
        var all = fitting.Select(e => e.Config).ToList();
        return all.Count == 0 ? ClientTraits.Usual : new ClientTraits(
            all.Select(c => c.Primer).FirstOrDefault(v => v is not null) ?? ClientTraits.Usual.Primer,
            all.Select(c => c.MissingSession).FirstOrDefault(v => v is not null) ?? ClientTraits.Usual.MissingSession,
            all.Select(c => c.GetWithoutSession).FirstOrDefault(v => v is not null) ?? ClientTraits.Usual.GetWithoutSession,
            all.Select(c => c.ProgressEvery).FirstOrDefault(v => v is not null));
    }

    private static ClientConfig Over(ClientConfig known, ClientConfig over) => known with
    {
        Names = over.Names ?? known.Names,
        UserAgents = over.UserAgents ?? known.UserAgents,
        Versions = over.Versions ?? known.Versions,
        Primer = over.Primer ?? known.Primer,
        MissingSession = over.MissingSession ?? known.MissingSession,
        GetWithoutSession = over.GetWithoutSession ?? known.GetWithoutSession,
        ProgressEvery = over.ProgressEvery ?? known.ProgressEvery,
    };

    private static List<ClientProfile> Read()
    {
        using var data = typeof(ClientProfiles).Assembly.GetManifestResourceStream("client-profiles.json")!;
        var root = JsonNode.Parse(data)!;
        DataVersion = (string)root["version"]!;
        return [.. root["profiles"]!.AsArray().Select(profile => Read(profile!))];
    }

    private static ClientProfile Read(JsonNode profile)
    {
        var quirks = profile["quirks"]!.AsArray()
            .Select(q => new ClientQuirk((string)q!["what"]!, (string?)q["set"], (string?)q["to"], (string?)q["always"], (string)q["source"]!)).ToList();
        var config = new ClientConfig
        {
            Name = (string)profile["name"]!,
            Names = Texts(profile["names"]),
            UserAgents = Texts(profile["userAgents"]),
            Versions = (string?)profile["versions"],
        };
        foreach (var quirk in quirks.Where(q => q.Set is not null))
        {
            config = ClientSettings.Set(config, quirk.Set!, quirk.To!);
        }

        return new ClientProfile(config, (string)profile["about"]!, quirks);
    }

    private static List<string>? Texts(JsonNode? list) => list?.AsArray().Select(text => (string)text!).ToList();

    private sealed record Entry(ClientConfig Config)
    {
        public VersionBounds? Bounds { get; } = Config.Versions is { } text && VersionBounds.TryParse(text, out var bounds) ? bounds : null;
    }
}
