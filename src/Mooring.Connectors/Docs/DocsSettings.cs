using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Connectors.Docs;

/// <summary>What the configuration says about one docs connector, checked.</summary>
internal sealed record DocsSettings
{
    private const long SmallestFileLimit = 1024;
    private const long LargestFileLimit = 4 * 1024 * 1024;

    private static readonly string[] Known = ["path", "title", "instructions", "include", "exclude", "maxFileSize"];

    /// <summary>The content folder, absolute. It may be a link that is switched to another folder while the gateway runs.</summary>
    public required string Path { get; init; }

    /// <summary>What the server calls itself.</summary>
    /// <value>Default: null, the server is then named <c>mooring-docs</c>.</value>
    public string? Title { get; init; }

    /// <summary>What clients are told about the server.</summary>
    /// <value>Default: null, a text about the three tools.</value>
    public string? Instructions { get; init; }

    /// <summary>Which files are pages, relative to <see cref="Path"/>.</summary>
    /// <value>Default: every <c>.md</c> and <c>.mdx</c> file.</value>
    public IReadOnlyList<Glob> Include { get; init; } = [Glob.Parse("**/*.md"), Glob.Parse("**/*.mdx")];

    /// <summary>Which of them are not. Folders that start with a dot, and <c>node_modules</c>, never hold pages.</summary>
    public IReadOnlyList<Glob> Exclude { get; init; } = [];

    /// <summary>Largest file that is read, and largest page after its includes, in bytes.</summary>
    /// <value>Default 1 MB; 1 kB to 4 MB. A page is answered up to four times over (source and text, each as text and as structured content), which must stay under the gateway's 16 MB for one message.</value>
    public long MaxFileSize { get; init; } = 1024 * 1024;

    /// <summary>Reads the settings and reports every problem, not only the first. The result is usable only when there is none.</summary>
    public static (DocsSettings Settings, IReadOnlyList<string> Problems) Read(JsonObject settings, string baseDirectory)
    {
        var problems = new List<string>();
        foreach (var (name, _) in settings)
        {
            if (!Known.Contains(name, StringComparer.Ordinal))
            {
                problems.Add($"{name}: unknown setting; the docs connector knows {string.Join(", ", Known)}");
            }
        }

        var read = new DocsSettings { Path = ReadPath(settings, baseDirectory, problems) };
        read = read with
        {
            Title = ReadText(settings, "title", problems),
            Instructions = ReadText(settings, "instructions", problems),
            Include = ReadGlobs(settings, "include", problems) ?? read.Include,
            Exclude = ReadGlobs(settings, "exclude", problems) ?? read.Exclude,
            MaxFileSize = ReadSize(settings, "maxFileSize", problems) ?? read.MaxFileSize,
        };
        return (read, problems);
    }

    private static string ReadPath(JsonObject settings, string baseDirectory, List<string> problems)
    {
        if (!settings.ContainsKey("path"))
        {
            problems.Add("path: missing; it names the folder with the Markdown files");
            return baseDirectory;
        }

        if (ReadText(settings, "path", problems) is not { } path)
        {
            return baseDirectory;
        }

        if (path.Contains('\0', StringComparison.Ordinal))
        {
            problems.Add("path: holds a zero character");
            return baseDirectory;
        }

        var full = System.IO.Path.GetFullPath(path, System.IO.Path.GetFullPath(baseDirectory));
        if (!Directory.Exists(full))
        {
            problems.Add(File.Exists(full) ? $"path: '{full}' is a file; a folder is needed" : $"path: the folder '{full}' does not exist");
        }

        return full;
    }

    private static string? ReadText(JsonObject settings, string name, List<string> problems)
    {
        if (!settings.TryGetPropertyValue(name, out var node))
        {
            return null;
        }

        if (node is not JsonValue value || !value.TryGetValue<string>(out var text))
        {
            problems.Add($"{name}: must be a text, not {Kind(node)}");
            return null;
        }

        if (string.IsNullOrWhiteSpace(text))
        {
            problems.Add($"{name}: must not be empty");
            return null;
        }

        return text;
    }

    private static List<Glob>? ReadGlobs(JsonObject settings, string name, List<string> problems)
    {
        if (!settings.TryGetPropertyValue(name, out var node))
        {
            return null;
        }

        var items = node is JsonArray array ? [.. array] : new[] { node };
        var globs = new List<Glob>(items.Length);
        for (var i = 0; i < items.Length; i++)
        {
            var where = node is JsonArray ? $"{name}[{i}]" : name;
            if (items[i] is not JsonValue value || !value.TryGetValue<string>(out var pattern))
            {
                problems.Add($"{where}: must be a pattern such as \"guides/**/*.mdx\", not {Kind(items[i])}");
            }
            else if (Glob.Problem(pattern) is { } problem)
            {
                problems.Add($"{where}: {problem}");
            }
            else
            {
                globs.Add(Glob.Parse(pattern));
            }
        }

        return globs;
    }

    private static long? ReadSize(JsonObject settings, string name, List<string> problems)
    {
        if (!settings.TryGetPropertyValue(name, out var node))
        {
            return null;
        }

        if (node is not JsonValue value || ParseSize(value) is not { } size)
        {
            problems.Add($"{name}: must be a number of bytes or a text such as \"512kB\" or \"2MB\", not {node?.ToJsonString() ?? "null"}");
            return null;
        }

        if (size is < SmallestFileLimit or > LargestFileLimit)
        {
            problems.Add($"{name}: {node.ToJsonString()} is outside 1kB to 4MB");
            return null;
        }

        return size;
    }

    private static long? ParseSize(JsonValue value)
    {
        if (value.TryGetValue<long>(out var bytes))
        {
            return bytes;
        }

        if (!value.TryGetValue<string>(out var text))
        {
            return null;
        }

        text = text.Trim();
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        long? unit = text[digits..].Trim().ToUpperInvariant() switch
        {
            "" or "B" => 1,
            "K" or "KB" => 1024,
            "M" or "MB" => 1024 * 1024,
            _ => null,
        };
        return unit is { } factor && long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= LargestFileLimit * 1024
            ? number * factor
            : null;
    }

    private static string Kind(JsonNode? node) => node?.GetValueKind() switch
    {
        null => "null",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "true or false",
        var kind => kind.ToString()!,
    };
}
