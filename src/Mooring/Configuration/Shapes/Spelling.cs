namespace Mooring.Configuration;

/// <summary>Finds the name that was probably meant.</summary>
internal static class Spelling
{
    /// <summary>Ends the sentence: <c>; did you mean "interval"?</c> or just a full stop.</summary>
    public static string Suggest(string written, IEnumerable<string> known) =>
        Closest(written, known) is { } name ? $"; did you mean \"{name}\"?" : ".";

    private static string? Closest(string written, IEnumerable<string> known)
    {
        // Two slips in a short word make it another word; a third of the length is what people still recognise.
        var best = Math.Max(1, written.Length / 3) + 1;
        string? found = null;
        foreach (var name in known)
        {
            var distance = Distance(Plain(written), Plain(name));
            if (distance < best)
            {
                (best, found) = (distance, name);
            }
        }

        return found;
    }

    // keep_alive, keep-alive and KeepAlive are one word to the person who wrote them.
    private static string Plain(string name) =>
        name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToUpperInvariant();

    /// <summary>Insertions, deletions, replacements and swaps of neighbours.</summary>
    private static int Distance(string a, string b)
    {
        var rows = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    rows[i, j] = i + j;
                    continue;
                }

                var change = a[i - 1] == b[j - 1] ? 0 : 1;
                var least = Math.Min(Math.Min(rows[i - 1, j] + 1, rows[i, j - 1] + 1), rows[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    least = Math.Min(least, rows[i - 2, j - 2] + 1);
                }

                rows[i, j] = least;
            }
        }

        return rows[a.Length, b.Length];
    }
}
