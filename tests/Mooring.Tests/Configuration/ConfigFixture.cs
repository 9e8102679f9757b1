using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

/// <summary>A folder of its own for each test, and the loader pointed at it.</summary>
internal sealed class ConfigFixture : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("mooring-config-").FullName;

    public Dictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public string ConfigFile => Path.Combine(Folder, "mooring.json");

    public string Write(string name, string content)
    {
        var path = Path.Combine(Folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        return path;
    }

    /// <summary>Loads what is there: the file only when a test wrote one.</summary>
    public ConfigResult Load(ConfigLoadOptions? options = null) =>
        ConfigLoader.Load(null, Environment, (options ?? new()) with { WorkingDirectory = Folder });

    public ConfigResult Load(string json, ConfigLoadOptions? options = null)
    {
        Write("mooring.json", json);
        return Load(options);
    }

    /// <summary>Loads a file that must be without errors.</summary>
    public MooringConfig LoadFine(string json)
    {
        var result = Load(json);
        Assert.Empty(result.Errors);
        return result.Config!;
    }

    /// <summary>The one error of a file that must have exactly one.</summary>
    public ConfigProblem LoadWrong(string json)
    {
        var result = Load(json);
        Assert.Null(result.Config);
        return Assert.Single(result.Errors);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
