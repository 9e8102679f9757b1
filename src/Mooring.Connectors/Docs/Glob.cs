namespace Mooring.Connectors.Docs;

/// <summary>
/// A pattern over paths with '/' between their parts: <c>**</c> is any number of whole parts, <c>*</c> any characters and <c>?</c> one
/// character within a part, <c>{a,b}</c> either. Letters match exactly.
/// </summary>
internal sealed class Glob
{
    /// <summary>Longest pattern, and most alternatives one may unfold to: matching stays cheap for any pattern.</summary>
    private const int LongestPattern = 500;
    private const int MostAlternatives = 64;

    private readonly string[][] _alternatives;

    private Glob(string[][] alternatives) => _alternatives = alternatives;

    /// <summary>Says what is wrong with a pattern, or null.</summary>
    public static string? Problem(string pattern)
    {
        if (string.IsNullOrWhiteSpace(pattern))
        {
            return "an empty pattern matches nothing";
        }

        if (pattern.Length > LongestPattern)
        {
            return $"the pattern is longer than {LongestPattern} characters";
        }

        if (Path.IsPathRooted(pattern) || pattern.Split('/').Contains("..", StringComparer.Ordinal))
        {
            return $"'{pattern}' must be relative to the content folder, without '..'";
        }

        var depth = 0;
        foreach (var c in pattern)
        {
            depth += c == '{' ? 1 : c == '}' ? -1 : 0;
            if (depth is < 0 or > 1)
            {
                return $"'{pattern}' has braces that do not pair or are nested";
            }
        }

        return depth != 0 ? $"'{pattern}' has braces that do not pair or are nested"
            : Unfold(pattern).Take(MostAlternatives + 1).Count() > MostAlternatives ? $"'{pattern}' unfolds to more than {MostAlternatives} patterns"
            : null;
    }

    public static Glob Parse(string pattern) =>
        Problem(pattern) is { } problem
            ? throw new FormatException(problem)
            : new Glob([.. Unfold(pattern).Select(p => (p.StartsWith("./", StringComparison.Ordinal) ? p[2..] : p).Split('/'))]);

    public bool IsMatch(string path)
    {
        var parts = path.Split('/');
        return _alternatives.Any(pattern => MatchParts(pattern, parts));
    }

    private static IEnumerable<string> Unfold(string pattern)
    {
        var open = pattern.IndexOf('{', StringComparison.Ordinal);
        if (open < 0)
        {
            return [pattern];
        }

        var close = pattern.IndexOf('}', open);
        var tails = Unfold(pattern[(close + 1)..]);
        return pattern[(open + 1)..close].Split(',').SelectMany(_ => tails, (choice, tail) => pattern[..open] + choice + tail);
    }

    /// <summary>Greedy with one point to fall back to, so that no pattern takes more than pattern × path steps.</summary>
    private static bool MatchParts(string[] pattern, string[] parts)
    {
        int p = 0, s = 0, star = -1, mark = 0;
        while (s < parts.Length)
        {
            if (p < pattern.Length && pattern[p] == "**")
            {
                star = p++;
                mark = s;
            }
            else if (p < pattern.Length && MatchPart(pattern[p], parts[s]))
            {
                p++;
                s++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                s = ++mark;
            }
            else
            {
                return false;
            }
        }

        return pattern.AsSpan(p).IndexOfAnyExcept("**") < 0;
    }

    private static bool MatchPart(ReadOnlySpan<char> pattern, ReadOnlySpan<char> part)
    {
        int p = 0, s = 0, star = -1, mark = 0;
        while (s < part.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                mark = s;
            }
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == part[s]))
            {
                p++;
                s++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                s = ++mark;
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].IndexOfAnyExcept('*') < 0;
    }
}
