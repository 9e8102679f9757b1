using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>How text is given to the search table, and how it comes back.</summary>
internal static class SearchText
{
    /// <summary>Set around each hit by the search table. Page text never holds control characters.</summary>
    public const char HitStart = '\u0001';
    public const char HitEnd = '\u0002';

    /// <summary>Invisible, no letter to the tokenizer: parts characters of scripts that are written without blanks.</summary>
    private const char Divider = '\u200B';

    /// <summary>About three lines in a chat window.</summary>
    private const int ExcerptLength = 280;

    /// <summary>How much stands before the first hit, so that its sentence can be understood.</summary>
    private const int LeadLength = 80;

    /// <summary>
    /// Makes each Chinese and Japanese character a word of its own. A run of them in a query then is a phrase, and matches anywhere
    /// within a longer run; the tokenizer alone would take whole sentences as single words.
    /// </summary>
    public static string Part(string text)
    {
        if (!text.Any(IsUnspaced))
        {
            return text;
        }

        var parted = new StringBuilder(text.Length * 2);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value is >= 0x20000 and < 0x40000 || (rune.IsBmp && IsUnspaced((char)rune.Value)))
            {
                parted.Append(Divider).Append(rune.ToString()).Append(Divider);
            }
            else
            {
                parted.Append(rune.ToString());
            }
        }

        return parted.ToString();
    }

    private static bool IsUnspaced(char c) => c is (>= '\u3040' and <= '\u30FF') or (>= '\u3400' and <= '\u9FFF') or (>= '\uF900' and <= '\uFAFF') || char.IsHighSurrogate(c);

    /// <summary>How well a section with marked hits answers: different words count most, those in the heading three times.</summary>
    public static double Weigh(string markedHeading, string markedText)
    {
        var (headingWords, _) = CountHits(markedHeading);
        var (words, hits) = CountHits(markedText);
        return (3 * headingWords) + words + (0.1 * Math.Min(hits, 10));
    }

    /// <summary>The stretch of a marked text that holds the most different hits, without the marks.</summary>
    public static string Excerpt(string marked)
    {
        var (text, hits) = Unmark(marked);
        var from = 0;
        if (hits.Count > 0)
        {
            var best = -1;
            for (var i = 0; i < hits.Count; i++)
            {
                var start = hits[i].Start;
                var words = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
                for (var j = i; j < hits.Count && hits[j].Start + hits[j].Length - start <= ExcerptLength - LeadLength; j++)
                {
                    AddWords(words, text.AsSpan(hits[j].Start, hits[j].Length));
                }

                if (words.Count > best)
                {
                    best = words.Count;
                    from = start;
                }
            }
        }

        return Cut(text, Math.Max(0, from - LeadLength));
    }

    /// <summary>The beginning of a text, for pages that match by title, route or description alone.</summary>
    public static string Beginning(string text) => Cut(Unmark(text).Text, 0);

    private static string Cut(string text, int from)
    {
        var to = Math.Min(text.Length, from + ExcerptLength);
        if (from > 0)
        {
            // Not in the midst of a word; but where words have no end, not in the midst of a character either.
            from = text.IndexOf(' ', from, Math.Min(40, text.Length - from)) is >= 0 and var blank ? blank + 1 : from;
            from += from < text.Length && char.IsLowSurrogate(text[from]) ? 1 : 0;
        }

        if (to < text.Length)
        {
            to = text.LastIndexOf(' ', to, Math.Min(40, to - from)) is >= 0 and var blank && blank > from ? blank : to;
            to -= char.IsHighSurrogate(text[to - 1]) ? 1 : 0;
        }

        return $"{(from > 0 ? "… " : "")}{text[from..to].Trim()}{(to < text.Length ? " …" : "")}";
    }

    /// <summary>Takes out marks and dividers and turns all white space into single blanks.</summary>
    private static (string Text, List<(int Start, int Length)> Hits) Unmark(string marked)
    {
        var text = new StringBuilder(marked.Length);
        var hits = new List<(int Start, int Length)>();
        var start = 0;
        foreach (var c in marked)
        {
            switch (c)
            {
                case HitStart:
                    start = text.Length;
                    break;
                case HitEnd:
                    hits.Add((start, text.Length - start));
                    break;
                case Divider:
                    break;
                default:
                    if (!char.IsWhiteSpace(c))
                    {
                        text.Append(c);
                    }
                    else if (text.Length > 0 && text[^1] != ' ')
                    {
                        text.Append(' ');
                    }

                    break;
            }
        }

        return (text.ToString(), hits);
    }

    private static (int Words, int Hits) CountHits(string marked)
    {
        var (text, hits) = Unmark(marked);
        var words = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (start, length) in hits)
        {
            AddWords(words, text.AsSpan(start, length));
        }

        return (words.Count, hits.Count);
    }

    /// <summary>Adds the words of a hit by their first five letters: "install" and "installing" are one.</summary>
    private static void AddWords(HashSet<string> words, ReadOnlySpan<char> hit)
    {
        foreach (var range in hit.SplitAny(" -_./:"))
        {
            var word = hit[range];
            if (word.Length > 0)
            {
                words.Add(word[..Math.Min(5, word.Length)].ToString());
            }
        }
    }
}
