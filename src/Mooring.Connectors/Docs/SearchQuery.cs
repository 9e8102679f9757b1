using System.Collections.Frozen;
using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>
/// What a user typed, as expressions of SQLite's full-text search. Every word is written in quotes, in which nothing has a meaning
/// to SQLite but the quote itself, so no input can be an operator, a column name or a syntax error.
/// </summary>
internal sealed class SearchQuery
{
    /// <summary>Words beyond these are ignored; questions seldom have more that matter.</summary>
    public const int MostTerms = 16;

    /// <summary>Shorter words are matched as they are: as the start of a word they would match nearly every page.</summary>
    private const int ShortestPrefix = 3;

    /// <summary>Words of questions that say nothing about the page wanted. Left out while other words remain.</summary>
    private static readonly FrozenSet<string> Filler = FrozenSet.ToFrozenSet(
        [
            "a", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "does", "for", "from", "has", "have", "how", "i",
            "if", "in", "into", "is", "it", "its", "me", "my", "of", "on", "or", "our", "please", "should", "so", "that", "the", "their",
            "them", "there", "these", "they", "this", "to", "us", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with",
            "would", "you", "your",
        ],
        StringComparer.OrdinalIgnoreCase);

    private SearchQuery(IReadOnlyList<Term> terms)
    {
        var pages = new string[terms.Count];
        for (var i = 0; i < terms.Count; i++)
        {
            pages[i] = PageExpression(terms[i], i + 1 < terms.Count ? terms[i + 1] : null);
        }

        All = string.Join(" AND ", pages);
        Any = terms.Count > 1 ? string.Join(" OR ", pages) : null;
        Sections = string.Join(" OR ", terms.Select(WordExpression));
        Term[] single = [.. terms.SelectMany(term => term.IsPhrase ? [term] : term.Text.Split(' ').Select(word => new Term(word, false)))];
        Loosened = single.Length > terms.Count ? new SearchQuery(single) : null;
    }

    /// <summary>Pages that have every word.</summary>
    public string All { get; }

    /// <summary>Pages that have any of the words; null when there is only one.</summary>
    public string? Any { get; }

    /// <summary>Sections that have any of the words.</summary>
    public string Sections { get; }

    /// <summary>The same with joined words (<c>a-b</c>, <c>a.b</c>) taken apart, for when no page has them joined; null when there are none.</summary>
    public SearchQuery? Loosened { get; }

    /// <returns>Null when the text holds nothing that can be searched for.</returns>
    public static SearchQuery? Parse(string text)
    {
        var terms = new List<Term>();
        foreach (var (words, isPhrase) in Pieces(text))
        {
            var clean = Clean(words);
            if (clean.Length > 0 && !terms.Exists(term => string.Equals(term.Text, clean, StringComparison.OrdinalIgnoreCase)))
            {
                terms.Add(new Term(clean, isPhrase));
            }
        }

        var telling = terms.FindAll(term => term.IsPhrase || !Filler.Contains(term.Text));
        terms = telling.Count > 0 ? telling : terms;
        return terms.Count == 0 ? null : new SearchQuery([.. terms.Take(MostTerms)]);
    }

    /// <summary>Words at blanks, and what stands between a pair of quotes as one piece.</summary>
    private static IEnumerable<(string Words, bool IsPhrase)> Pieces(string text)
    {
        var quoted = text.Split('"');
        for (var i = 0; i < quoted.Length; i++)
        {
            // Odd parts stand between quotes, unless the last quote has no partner.
            if (i % 2 == 1 && i < quoted.Length - 1)
            {
                yield return (quoted[i], true);
                continue;
            }

            foreach (var word in quoted[i].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            {
                yield return (word, false);
            }
        }
    }

    /// <summary>Letters and digits, with one blank for anything between them (<c>docs_search</c> is two words to the index as well).</summary>
    private static string Clean(string words)
    {
        var clean = new StringBuilder(words.Length);
        var gap = false;
        foreach (var rune in words.EnumerateRunes())
        {
            if (!Rune.IsLetterOrDigit(rune) && Rune.GetUnicodeCategory(rune) is not (System.Globalization.UnicodeCategory.NonSpacingMark or System.Globalization.UnicodeCategory.SpacingCombiningMark))
            {
                gap = clean.Length > 0;
                continue;
            }

            clean.Append(gap ? " " : "").Append(rune.ToString());
            gap = false;
        }

        return clean.ToString();
    }

    /// <summary>
    /// One word among pages. SQLite sums the rank over every part that matches, so the same word counts again as a whole word, in
    /// headings, in the title, and next to the word that follows it in the query; none of these parts changes which pages match.
    /// </summary>
    private static string PageExpression(Term term, Term? next)
    {
        var quoted = Quote(term.Text);
        var parts = new List<string> { WordExpression(term), $"{{title headings}} : {quoted}", $"title : {quoted}" };
        if (next is not null)
        {
            var pair = Quote($"{term.Text} {next.Text}");
            parts.Add(pair);
            parts.Add($"{{title headings}} : {pair}");
        }

        return $"({string.Join(" OR ", parts)})";
    }

    private static string WordExpression(Term term)
    {
        var quoted = Quote(term.Text);
        var lastWord = term.Text.Length - 1 - term.Text.LastIndexOf(' ');
        return term.IsPhrase || lastWord < ShortestPrefix ? quoted : $"({quoted} OR {quoted} *)";
    }

    private static string Quote(string words) => $"\"{SearchText.Part(words)}\"";

    private sealed record Term(string Text, bool IsPhrase);
}
