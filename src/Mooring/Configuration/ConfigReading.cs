namespace Mooring.Configuration;

/// <summary>One run of the loader: collects the problems and origins, and answers what strings refer to.</summary>
internal sealed class ConfigReading(
    IReadOnlyDictionary<string, string> environment, string baseDirectory, string workingDirectory)
{
    private readonly List<ConfigProblem> _problems = [];
    private readonly List<ConfigSource> _sources = [];
    private readonly List<string> _files = [];
    private readonly Substitution _substitution = new(environment, baseDirectory);

    public IReadOnlyDictionary<string, string> Environment { get; } = environment;

    /// <summary>What relative paths in the file count from: the directory of the file.</summary>
    public string BaseDirectory { get; } = baseDirectory;

    public IReadOnlyList<ConfigProblem> Problems => _problems;

    public IReadOnlyList<ConfigSource> Sources => _sources;

    public IReadOnlyList<string> Files => _files;

    public int ErrorCount => _problems.Count(p => p.Severity == ProblemSeverity.Error);

    public bool Failed => _problems.Exists(p => p.Severity == ProblemSeverity.Error);

    public void Error(string path, int? line, string message) =>
        _problems.Add(new(path, line, message, ProblemSeverity.Error));

    public void Warn(string path, int? line, string message) =>
        _problems.Add(new(path, line, message, ProblemSeverity.Warning));

    public void CameFrom(string path, string origin) => _sources.Add(new(path, origin));

    public void Used(string file)
    {
        if (!_files.Contains(file))
        {
            _files.Add(file);
        }
    }

    /// <summary>The string with its <c>${…}</c> replaced; false after a problem was reported.</summary>
    public bool TryExpand(ConfigNode node, string path, out string text)
    {
        text = _substitution.Expand(node.Text, out var problems, out var files);
        foreach (var file in files)
        {
            Used(file);
        }

        foreach (var problem in problems)
        {
            Error(path, node.Line, problem);
        }

        return problems.Count == 0;
    }

    /// <summary>Paths in a file count from that file, paths from elsewhere from the working directory.</summary>
    public string FullPath(string path, ConfigNode node) =>
        Path.GetFullPath(path, node.Line is null ? workingDirectory : BaseDirectory);
}
