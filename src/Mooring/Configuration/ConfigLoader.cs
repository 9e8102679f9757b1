using System.Collections;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>What the caller decides, as opposed to what file and environment say.</summary>
internal sealed record ConfigLoadOptions
{
    /// <summary>Addresses from the command line; they win over everything. Null: none given.</summary>
    public IReadOnlyList<string>? Urls { get; init; }

    /// <summary>Data directory from the command line; wins over everything.</summary>
    public string? DataDirectory { get; init; }

    public string WorkingDirectory { get; init; } = Directory.GetCurrentDirectory();

    /// <summary>
    /// Says what is wrong with the settings of one connector, given its name, its settings and the directory for relative paths:
    /// each line is <c>key: what is wrong</c>, or only the latter, and has values of settings only between quotes. Null: nobody knows the connectors here.
    /// </summary>
    public Func<string, JsonObject, string, IReadOnlyList<string>>? CheckConnector { get; init; }

    /// <summary>Says what is wrong with the key files and certificates of the vault, each with the setting that names it. Null: nobody looks at them here.</summary>
    public Func<VaultConfig, IReadOnlyList<(string Setting, string Problem)>>? CheckVault { get; init; }
}

/// <summary>
/// File, environment and command line become one <see cref="MooringConfig"/>, or all their problems at once. Stateless: each
/// load stands alone, so a reload is just another one.
/// </summary>
/// <remarks>What counts, strongest first: command line, <c>MOORING_</c> variables, file, variables of older deployments, defaults.</remarks>
internal static class ConfigLoader
{
    /// <summary>Read when no file is named and it is there.</summary>
    public const string DefaultFile = "mooring.json";

    /// <summary>The variables of this process.</summary>
    public static Dictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);

    /// <param name="file">Null: <c>MOORING_CONFIG</c>, else <see cref="DefaultFile"/> in the working directory, else none.</param>
    public static ConfigResult Load(
        string? file, IReadOnlyDictionary<string, string> environment, ConfigLoadOptions? options = null)
    {
        options ??= new();
        var place = PlaceOf(file, environment, options, out var isNamed);
        file = isNamed || File.Exists(place) ? place : null;
        var baseDirectory = Path.GetDirectoryName(place)!;
        var reading = new ConfigReading(environment, baseDirectory, options.WorkingDirectory);
        var notes = new List<string>();
        // Also where none lies there: one may come.
        reading.Used(place);
        var root = ReadFile(file, reading);
        EnvironmentOverrides.Apply(root, Settings.Root, reading);
        LegacyVariables.Apply(root, options.Urls is not null, reading, notes);
        if (options.Urls is { } urls)
        {
            var list = new ConfigNode(JsonValueKind.Array, "--urls", null);
            list.Items.AddRange(urls.Select(url => ConfigNode.String(url, "--urls")));
            root.SetMember("listen", list);
        }

        if (!Settings.Root.TryRead(root, "", reading, out var config))
        {
            config = new();
        }

        if (root.Member("mcpServers") is null && root.Member("servers") is null && root.Member("connectors") is null)
        {
            config = config with { Connectors = DefaultConnectors(environment, options, reading) };
        }

        ConfigChecks.Run(config, root, reading, options);
        var data = DataDirectories.Choose(config, environment, options);
        if (config.Store.Directory is not null)
        {
            if (HasStore(Path.GetFullPath(config.Store.Directory, options.WorkingDirectory)) && !HasStore(data))
            {
                notes.Add($"The data directory is {data}, which has no store yet; store.directory names {config.Store.Directory}, which has one, and is not used beside --data or MOORING_DATA.");
            }

            // The strongest of those who name one.
            config = config with { Store = config.Store with { Directory = data } };
        }

        return new ConfigResult
        {
            Config = reading.Failed ? null : config,
            Problems = NamingVariables(reading.Problems, root),
            Sources = reading.Sources,
            Notes = notes,
            File = file,
            Files = reading.Files,
            DataDirectory = data,
        };
    }

    /// <summary>Where the file is looked for; the same as long as a process runs. One that was named has to be there.</summary>
    private static string PlaceOf(string? file, IReadOnlyDictionary<string, string> environment, ConfigLoadOptions options, out bool isNamed)
    {
        var named = file ?? environment.GetValueOrDefault(EnvironmentOverrides.ConfigFile);
        isNamed = !string.IsNullOrEmpty(named);
        return Path.GetFullPath(isNamed ? named! : DefaultFile, options.WorkingDirectory);
    }

    private static ConfigNode ReadFile(string? file, ConfigReading reading)
    {
        var empty = new ConfigNode(JsonValueKind.Object, file ?? ConfigSource.Default, null);
        if (file is null)
        {
            return empty;
        }

        try
        {
            var root = ConfigText.Parse(File.ReadAllBytes(file), file, reading);
            if (root is { Kind: JsonValueKind.Object })
            {
                return root;
            }

            if (root is not null)
            {
                reading.Error("", root.Line, $"{file} must hold one object, not {root.Describe()}.");
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            reading.Error("", null, $"{file} does not exist.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reading.Error("", null, $"{file} cannot be read: {e.Message}");
        }

        return empty;
    }

    /// <summary>Whoever set a variable looks for its name, and not for that of the setting.</summary>
    private static IReadOnlyList<ConfigProblem> NamingVariables(IReadOnlyList<ConfigProblem> problems, ConfigNode root)
    {
        if (problems.All(problem => problem.Line is not null))
        {
            return problems;
        }

        var origins = new Dictionary<string, string>(StringComparer.Ordinal);
        Note("", root);
        return [.. problems.Select(problem => problem.Line is null && origins.TryGetValue(problem.Path, out var origin) ? problem with { Message = $"{problem.Message} It comes from {origin}." } : problem)];

        void Note(string path, ConfigNode node)
        {
            if (path.Length > 0 && node.Line is null)
            {
                origins.TryAdd(path, node.Origin);
            }

            foreach (var (key, child) in node.Members)
            {
                Note(ConfigPath.Member(path, key), child);
            }

            for (var i = 0; i < node.Items.Count; i++)
            {
                Note(ConfigPath.Item(path, i), node.Items[i]);
            }
        }
    }

    private static IReadOnlyList<ConnectorConfig> DefaultConnectors(
        IReadOnlyDictionary<string, string> environment, ConfigLoadOptions options, ConfigReading reading)
    {
        var home = environment.GetValueOrDefault(EnvironmentOverrides.Home);
        var docs = Path.Combine(string.IsNullOrEmpty(home) ? options.WorkingDirectory : home, "docs");
        if (Directory.Exists(docs))
        {
            return [new ConnectorConfig("docs", new JsonObject { ["path"] = docs })];
        }

        reading.Warn("mcpServers", null, $"is not set, and there is no {docs} to serve instead: clients will find nothing.");
        return [];
    }

    private static bool HasStore(string directory) => File.Exists(Path.Combine(directory, DataDirectories.StoreFile));
}
