using System.Text;

namespace Mooring.Configuration;

/// <summary>
/// Replaces <c>${NAME}</c>, <c>${NAME:-default}</c> and <c>${file:/path}</c> in a string; <c>$${</c> stands for a plain <c>${</c>.
/// <c>${env:NAME}</c>, <c>${userHome}</c>, <c>${workspaceFolder}</c>, <c>${pathSeparator}</c> and <c>${/}</c> are
/// understood because the files of Cursor and VS Code hold them.
/// </summary>
internal sealed class Substitution(IReadOnlyDictionary<string, string> environment, string baseDirectory)
{
    /// <summary>Largest file that is put into a string; secrets are small, and a device file would never end.</summary>
    private const int MaxFileBytes = 64 * 1024;

    /// <returns>The text as far as it could be replaced; complete only without problems.</returns>
    public string Expand(string text, out List<string> problems, out List<string> files)
    {
        problems = [];
        files = [];
        if (!text.Contains("${", StringComparison.Ordinal))
        {
            return text;
        }

        var result = new StringBuilder();
        var at = 0;
        while (at < text.Length)
        {
            var open = text.IndexOf("${", at, StringComparison.Ordinal);
            if (open < 0)
            {
                break;
            }

            if (open > at && text[open - 1] == '$')
            {
                result.Append(text, at, open - 1 - at).Append("${");
                at = open + 2;
                continue;
            }

            var close = text.IndexOf('}', open);
            if (close < 0)
            {
                problems.Add("has a ${ without its }; write $${ where a plain ${ is meant.");
                return result.ToString();
            }

            result.Append(text, at, open - at).Append(Resolve(text[(open + 2)..close], problems, files));
            at = close + 1;
        }

        return result.Append(text, at, text.Length - at).ToString();
    }

    private string Resolve(string inner, List<string> problems, List<string> files)
    {
        if (inner.StartsWith("file:", StringComparison.Ordinal))
        {
            return ReadFile(inner["file:".Length..], problems, files);
        }

        if (inner.StartsWith("input:", StringComparison.Ordinal))
        {
            problems.Add($"asks for ${{{inner}}}; nobody can be asked at start. Use a variable: ${{NAME}}.");
            return "";
        }

        switch (inner)
        {
            case "userHome":
                return Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            case "workspaceFolder":
                return baseDirectory;
            case "pathSeparator" or "/":
                return Path.DirectorySeparatorChar.ToString();
        }

        var name = inner.StartsWith("env:", StringComparison.Ordinal) ? inner["env:".Length..] : inner;
        var split = name.IndexOf(":-", StringComparison.Ordinal);
        var fallback = split < 0 ? null : name[(split + 2)..];
        name = split < 0 ? name : name[..split];
        if (name.Length == 0)
        {
            problems.Add("has an empty ${}; name a variable or a file.");
            return "";
        }

        if (environment.TryGetValue(name, out var value) && (value.Length > 0 || fallback is null))
        {
            return value;
        }

        if (fallback is not null)
        {
            return fallback;
        }

        problems.Add($"needs the environment variable {name}, which is not set.");
        return "";
    }

    private string ReadFile(string name, List<string> problems, List<string> files)
    {
        var path = Path.GetFullPath(name, baseDirectory);
        files.Add(path);
        try
        {
            using var file = File.OpenRead(path);
            var bytes = new byte[MaxFileBytes + 1];
            var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length <= MaxFileBytes)
            {
                // Editors and `echo` end a file with a line break that is no part of the secret.
                return Encoding.UTF8.GetString(bytes, 0, length).TrimEnd('\r', '\n');
            }

            problems.Add($"needs the file {path}, which is larger than {SizeText.Format(MaxFileBytes)}.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            problems.Add($"needs the file {path}, which does not exist.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add($"needs the file {path}, which cannot be read: {e.Message}");
        }

        return "";
    }
}
