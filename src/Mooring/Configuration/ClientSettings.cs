using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>The part of the table under <c>clients</c>.</summary>
internal static class ClientSettings
{
    /// <summary>Of <c>calls.progressEvery</c> too.</summary>
    public static readonly DurationShape ProgressEvery = new("1s", "10m", orOff: true);

    private static readonly ListShape<string> Texts = new(new TextShape("a name", t => t.Length > 0), orOne: true);

    /// <summary>One entry of <c>clients</c>.</summary>
    public static readonly ObjectShape<ClientConfig> Client = new ObjectShape<ClientConfig>(() => new() { Name = "" })
        .Add("names", Texts, c => c.Names, (c, v) => c with { Names = v },
            "What such clients call themselves in clientInfo.name.")
        .Add("userAgents", Texts, c => c.UserAgents, (c, v) => c with { UserAgents = v },
            "What their User-Agent begins with; for missingSession and getWithoutSession, where no session says who it is.")
        .Add("versions", new TextShape(VersionBounds.Expected, t => VersionBounds.TryParse(t, out _)), c => c.Versions, (c, v) => c with { Versions = v },
            "Bounds of clientInfo.version, such as <2 or >=1.2 <2.")
        .Add("primer", new OptionalShape<bool>(new BooleanShape()), c => c.Primer, (c, v) => c with { Primer = v },
            "Whether streams of 2025-11-25 begin with an event that has an id and no data. false: for clients that cannot read it; they cannot resume before the first message then.")
        .Add("missingSession", new OptionalShape<MissingSessionRule>(new ChoiceShape<MissingSessionRule>(
                [new("refuse", MissingSessionRule.Refuse), new("notFound", MissingSessionRule.NotFound), new("serve", MissingSessionRule.Serve)])),
            c => c.MissingSession, (c, v) => c with { MissingSession = v },
            "A message without a session id. refuse: 400. notFound: 404, which has a client begin a new session. serve: as a client without sessions is served, without questions of servers.")
        .Add("getWithoutSession", new OptionalShape<SessionlessGetRule>(new ChoiceShape<SessionlessGetRule>([new("sse", SessionlessGetRule.Sse), new("refuse", SessionlessGetRule.Refuse)])),
            c => c.GetWithoutSession, (c, v) => c with { GetWithoutSession = v },
            "A GET of /mcp without a session id. sse: it is the transport HTTP+SSE. refuse: 405.")
        .Add("progressEvery", new OptionalShape<TimeSpan>(ProgressEvery), c => c.ProgressEvery, (c, v) => c with { ProgressEvery = v },
            "As calls.progressEvery, for these clients.");

    /// <summary>Sets one value as it is written in the data that comes with the gateway.</summary>
    public static ClientConfig Set(ClientConfig config, string setting, string value)
    {
        var node = new ConfigNode(System.Text.Json.JsonValueKind.Object, "client-profiles.json", null);
        node.SetMember(setting, ConfigNode.String(value, "client-profiles.json"));
        var reading = new ConfigReading(new Dictionary<string, string>(StringComparer.Ordinal), "", "");
        if (!Client.TryRead(node, config.Name, reading, out var read) || reading.Failed)
        {
            throw new InvalidOperationException($"client-profiles.json: {string.Join(' ', reading.Problems.Select(p => $"{p.Path} {p.Message}"))}");
        }

        return config with
        {
            Primer = read.Primer ?? config.Primer,
            MissingSession = read.MissingSession ?? config.MissingSession,
            GetWithoutSession = read.GetWithoutSession ?? config.GetWithoutSession,
            ProgressEvery = read.ProgressEvery ?? config.ProgressEvery,
        };
    }
}

/// <summary><c>clients</c>: entries by name; those that do not come with the gateway have to say whom they are for.</summary>
internal sealed class ClientsShape : Shape<IReadOnlyList<ClientConfig>>
{
    private static readonly MapShape<ClientConfig> Entries = new(ClientSettings.Client, StringComparer.Ordinal, ServersShape.CheckName);

    public override bool TryRead(
        ConfigNode node, string path, ConfigReading reading, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out IReadOnlyList<ClientConfig>? value)
    {
        if (!Entries.TryRead(node, path, reading, out var entries))
        {
            value = null;
            return false;
        }

        var all = new List<ClientConfig>();
        foreach (var (name, entry) in entries)
        {
            var known = ClientProfiles.BuiltIn.Any(p => p.Config.Name == name);
            if (!known && entry.Names is not { Count: > 0 } && entry.UserAgents is not { Count: > 0 })
            {
                reading.Error(ConfigPath.Member(path, name), node.Member(name)!.Line, "is none of the clients that come with the gateway, so it needs \"names\" (clientInfo.name) or \"userAgents\""
                    + Spelling.Suggest(name, ClientProfiles.BuiltIn.Select(p => p.Config.Name)));
            }

            all.Add(entry with { Name = name });
        }

        value = all;
        return true;
    }

    public override JsonNode? Write(IReadOnlyList<ClientConfig> value) => null;

    public override JsonObject Schema() => Entries.Schema();

    public override bool Same(IReadOnlyList<ClientConfig>? one, IReadOnlyList<ClientConfig>? other) =>
        one is null || other is null
            ? ReferenceEquals(one, other)
            : one.Count == other.Count && one.Zip(other).All(pair => pair.First.Name == pair.Second.Name && ClientSettings.Client.Same(pair.First, pair.Second));

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Shape? shape) =>
        Entries.TryDescend(segment, node, out key, out shape);

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading) =>
        Entries.FromText(text, origin, path, reading);
}
