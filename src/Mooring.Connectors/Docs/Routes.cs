namespace Mooring.Connectors.Docs;

/// <summary>How routes are written, and which ones are near to a wrong one.</summary>
internal static class Routes
{
    private const int LongestRoute = 300;

    /// <summary>One '/' in front, none behind, nothing of a URL around it; null for what cannot be a route.</summary>
    public static string? Normalize(string? text)
    {
        text = text?.Trim() ?? "";
        if (text.IndexOf("://", StringComparison.Ordinal) is > 0 and var scheme)
        {
            var path = text.IndexOf('/', scheme + 3);
            text = path < 0 ? "/" : text[path..];
        }

        if (text.IndexOfAny(['#', '?']) is >= 0 and var end)
        {
            text = text[..end];
        }

        var parts = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0)
        {
            return text.Length > 0 ? "/" : null;
        }

        var route = "/" + string.Join('/', parts);
        return route.Length <= LongestRoute ? route : null;
    }

    /// <summary>The route of a file that asks for none: its path without extension, and an index file stands for its folder.</summary>
    public static string FromPath(string filePath)
    {
        var bare = filePath[..^Path.GetExtension(filePath).Length];
        var name = bare[(bare.LastIndexOf('/') + 1)..];
        return "/" + (string.Equals(name, "index", StringComparison.OrdinalIgnoreCase) ? bare[..^name.Length].TrimEnd('/') : bare);
    }

    /// <summary>Whether a route lies under a prefix: <c>/api</c> holds <c>/api</c> and <c>/api/keys</c>; <c>/ap</c> also holds both, as a start of the text.</summary>
    public static bool HasPrefix(string route, string prefix) =>
        route.StartsWith(prefix.StartsWith('/') ? prefix : "/" + prefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>The routes most like a wrong one, best first.</summary>
    public static IReadOnlyList<string> Nearest(string wanted, IEnumerable<string> routes, int count)
    {
        var wantedLast = LastPart(wanted);
        return [.. routes
            .Select(route => (Route: route, Distance: Math.Min(
                Distance(wanted, route),
                // The right page in another folder is nearer than another page with a similar path.
                1 + Distance(wantedLast, LastPart(route)))))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Route, StringComparer.Ordinal)
            .Take(count)
            .Select(candidate => candidate.Route)];
    }

    private static string LastPart(string route) => route[(route.LastIndexOf('/') + 1)..];

    /// <summary>Edits (insert, delete, change) from one text to the other, case ignored. Only the first 64 characters count, which bounds the work.</summary>
    private static int Distance(string from, string to)
    {
        var a = from.AsSpan(0, Math.Min(from.Length, 64));
        var b = to.AsSpan(0, Math.Min(to.Length, 64));
        Span<int> row = stackalloc int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var change = diagonal + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(change, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
