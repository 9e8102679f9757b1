namespace Mooring.Configuration;

/// <summary>Files with <c>NAME=VALUE</c> lines, as <c>envFile</c> of Cursor and VS Code names them.</summary>
internal static class EnvFile
{
    /// <summary>False after a problem was reported.</summary>
    public static bool TryRead(
        string file, string path, ConfigNode node, ConfigReading reading, out Dictionary<string, string> variables)
    {
        variables = new(StringComparer.Ordinal);
        reading.Used(file);
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reading.Error(path, node.Line, $"names {file}, which cannot be read: {e.Message}");
            return false;
        }

        var fine = true;
        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            line = line.StartsWith("export ", StringComparison.Ordinal) ? line["export ".Length..].TrimStart() : line;
            var equals = line.IndexOf('=');
            if (equals <= 0)
            {
                // Not the line itself: it may be a piece of a secret.
                reading.Error(path, node.Line, $"names {file}, whose line {i + 1} is not NAME=VALUE.");
                fine = false;
                continue;
            }

            variables[line[..equals].TrimEnd()] = Unquote(line[(equals + 1)..].Trim());
        }

        return fine;
    }

    private static string Unquote(string value)
    {
        if (value.Length >= 2 && value[0] is '"' or '\'' && value[^1] == value[0])
        {
            var inner = value[1..^1];
            return value[0] == '\'' ? inner : inner
                .Replace("\\n", "\n", StringComparison.Ordinal)
                .Replace("\\\"", "\"", StringComparison.Ordinal);
        }

        var comment = value.IndexOf(" #", StringComparison.Ordinal);
        return comment < 0 ? value : value[..comment].TrimEnd();
    }
}
