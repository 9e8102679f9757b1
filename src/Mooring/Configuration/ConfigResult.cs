namespace Mooring.Configuration;

internal enum ProblemSeverity
{
    Error,
    Warning,
}

/// <summary>Something wrong in the configuration.</summary>
/// <param name="Path">The setting, as in <c>mcpServers.issues.url</c>; empty where the whole file is meant.</param>
/// <param name="Line">1-based line in the file, where there is one.</param>
/// <param name="Message">Says what is wrong and what to write instead; never holds a value that came from a variable or a file.</param>
internal sealed record ConfigProblem(string Path, int? Line, string Message, ProblemSeverity Severity)
{
    /// <summary>One line for a person.</summary>
    public override string ToString()
    {
        var place = Line is { } line ? $"line {line}: " : "";
        var path = Path.Length == 0 ? "" : Path + " ";
        return $"{(Severity == ProblemSeverity.Error ? "error" : "warning")}: {place}{path}{Message}";
    }
}

/// <summary>Where the effective value of a setting is from.</summary>
/// <param name="Path">The setting.</param>
/// <param name="Origin"><see cref="ConfigSource.Default"/>, the path of a file, the name of a variable or of a command line option.</param>
internal sealed record ConfigSource(string Path, string Origin)
{
    public const string Default = "default";
}

/// <summary>What <see cref="ConfigLoader"/> found: a configuration unless there is an error, and all problems at once.</summary>
internal sealed record ConfigResult
{
    /// <summary>Null when there is at least one error.</summary>
    public MooringConfig? Config { get; init; }

    public IReadOnlyList<ConfigProblem> Problems { get; init; } = [];

    /// <summary>Every setting once, in the order of the table.</summary>
    public IReadOnlyList<ConfigSource> Sources { get; init; } = [];

    /// <summary>Lines for the start log that are neither errors nor warnings, such as older variables in use.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The file that was read; null without one.</summary>
    public string? File { get; init; }

    /// <summary>All files whose content decides the result: the file itself, or where it would be, and those of <c>${file:…}</c> and <c>envFile</c>.</summary>
    public IReadOnlyList<string> Files { get; init; } = [];

    /// <summary>The directory for everything that must outlive the process.</summary>
    public string DataDirectory { get; init; } = "";

    public IEnumerable<ConfigProblem> Errors => Problems.Where(p => p.Severity == ProblemSeverity.Error);

    public IEnumerable<ConfigProblem> Warnings => Problems.Where(p => p.Severity == ProblemSeverity.Warning);

    public string OriginOf(string path) =>
        Sources.FirstOrDefault(s => s.Path == path)?.Origin ?? ConfigSource.Default;
}
