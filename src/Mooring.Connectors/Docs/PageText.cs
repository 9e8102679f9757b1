using System.Buffers;
using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>A heading and what stands under it, as plain words.</summary>
/// <param name="Heading">Empty for what stands before the first heading.</param>
/// <param name="Anchor">What follows '#' in a link; empty where the link is the page itself.</param>
/// <param name="Level">1 to 6; 0 without a heading.</param>
internal sealed record PageSection(string Heading, string Anchor, int Level, string Text);

/// <summary>
/// Reads Markdown and MDX line by line into plain words. MDX is why this is not a Markdown library: there, indented lines are no code,
/// headings may stand inside tags, and imports, exports and expressions are no text. Every step is linear in the length of the page.
/// </summary>
internal sealed class PageText
{
    /// <summary>What comes after this many headings belongs to the last one.</summary>
    public const int MostSections = 4096;

    private static readonly SearchValues<char> RuleCharacters = SearchValues.Create("-=*_|: \t");

    private readonly bool _mdx;
    private readonly AnchorMaker _anchors = new();
    private readonly List<PageSection> _sections = [];
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _paragraph = new();

    private string _heading = "";
    private string _anchor = "";
    private int _level;

    // What the current line stands in: a code block, a comment (its end), an import or export.
    private CodeFence? _fence;
    private string? _commentEnd;
    private bool _module;

    private PageText(bool mdx) => _mdx = mdx;

    /// <param name="body">The page without its front matter, includes resolved.</param>
    /// <param name="mdx">Whether imports, exports and expressions in braces are code.</param>
    public static IReadOnlyList<PageSection> Read(string body, bool mdx)
    {
        var reader = new PageText(mdx);
        foreach (var line in body.AsSpan().EnumerateLines())
        {
            reader.Line(line);
        }

        reader.EndSection();
        return reader._sections;
    }

    /// <summary>The whole page as words, one paragraph per line.</summary>
    public static string Flatten(IReadOnlyList<PageSection> sections) =>
        string.Join("\n", sections.SelectMany(section => new[] { section.Heading, section.Text }).Where(part => part.Length > 0));

    private void Line(ReadOnlySpan<char> line)
    {
        if (_fence is { } fence)
        {
            if (fence.IsClosedBy(line))
            {
                _fence = null;
            }
            else
            {
                InlineText.AppendRaw(_text, line);
                _text.Append('\n');
            }

            return;
        }

        var text = WithoutComments(line, out var hadComment);
        var trimmed = text.AsSpan().Trim();
        if (trimmed.IsEmpty)
        {
            // A line that held only a comment does not end a paragraph.
            if (!hadComment)
            {
                _module = false;
                EndParagraph();
            }

            return;
        }

        if (_module)
        {
            return;
        }

        if (CodeFence.TryOpen(text, out var opened))
        {
            EndParagraph();
            _fence = opened;
        }
        else if (_mdx && _paragraph.Length == 0 && (text.StartsWith("import ", StringComparison.Ordinal) || text.StartsWith("export ", StringComparison.Ordinal)))
        {
            _module = true;
        }
        else if ((_mdx || !IsIndentedCode(text)) && HeadingLevel(trimmed) is > 0 and var level)
        {
            EndParagraph();
            StartSection(trimmed[level..].Trim().TrimEnd('#').TrimEnd(), level);
        }
        else if (IsUnderline(trimmed) && _paragraph.Length > 0)
        {
            var heading = _paragraph.ToString();
            _paragraph.Clear();
            StartSection(heading.ReplaceLineEndings(" ").Trim(), trimmed[0] == '=' ? 1 : 2);
        }
        else if (!IsRule(trimmed))
        {
            _paragraph.Append(WithoutMarker(trimmed)).Append('\n');
        }
    }

    private string WithoutComments(ReadOnlySpan<char> line, out bool hadComment)
    {
        hadComment = _commentEnd is not null;
        var rest = line;
        StringBuilder? kept = null;
        while (true)
        {
            if (_commentEnd is not null)
            {
                var end = rest.IndexOf(_commentEnd, StringComparison.Ordinal);
                if (end < 0)
                {
                    return kept?.ToString() ?? "";
                }

                rest = rest[(end + _commentEnd.Length)..];
                _commentEnd = null;
                kept ??= new StringBuilder();
            }

            var start = CommentStart(rest);
            if (start < 0)
            {
                return kept is null ? rest.ToString() : kept.Append(rest).ToString();
            }

            hadComment = true;
            (kept ??= new StringBuilder()).Append(rest[..start]);
            _commentEnd = rest[start] == '<' ? "-->" : "*/}";
            rest = rest[(start + 3)..];
        }
    }

    private int CommentStart(ReadOnlySpan<char> line)
    {
        var code = false;
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == '`')
            {
                code = !code;
            }
            else if (!code && (line[i..].StartsWith("<!--", StringComparison.Ordinal) || (_mdx && line[i..].StartsWith("{/*", StringComparison.Ordinal))))
            {
                return i;
            }
        }

        return -1;
    }

    private void StartSection(ReadOnlySpan<char> heading, int level)
    {
        var (written, id) = AnchorMaker.SplitId(heading.ToString());
        var words = InlineText.Strip(written, _mdx).Trim();
        var anchor = id ?? _anchors.Make(words);
        if (_sections.Count + 1 >= MostSections)
        {
            _text.Append(words).Append('\n');
            return;
        }

        // The title of a page is its first heading: a link to it is a link to the page.
        var isTitle = level == 1 && _sections.Count == 0 && _level == 0;
        EndSection();
        (_heading, _anchor, _level) = (words, isTitle ? "" : anchor, level);
    }

    private void EndSection()
    {
        EndParagraph();
        var text = _text.ToString().Trim();
        _text.Clear();
        if (_heading.Length > 0 || text.Length > 0)
        {
            _sections.Add(new PageSection(_heading, _anchor, _level, text));
        }
    }

    private void EndParagraph()
    {
        if (_paragraph.Length == 0)
        {
            return;
        }

        var words = InlineText.Strip(_paragraph.ToString(), _mdx).Trim();
        _paragraph.Clear();
        if (words.Length > 0)
        {
            _text.Append(words).Append('\n');
        }
    }

    private static bool IsIndentedCode(string line) => line.StartsWith("    ", StringComparison.Ordinal) || line[0] == '\t';

    private static int HeadingLevel(ReadOnlySpan<char> line)
    {
        var level = line.IndexOfAnyExcept('#') is >= 0 and var end ? end : line.Length;
        return level is >= 1 and <= 6 && (level == line.Length || line[level] is ' ' or '\t') ? level : 0;
    }

    private static bool IsUnderline(ReadOnlySpan<char> line) =>
        line.Length >= 2 && (line.IndexOfAnyExcept('=') < 0 || line.IndexOfAnyExcept('-') < 0);

    /// <summary>Rules across the page, the line under a table's head, and the end of a <c>:::</c> block.</summary>
    private static bool IsRule(ReadOnlySpan<char> line) => !line.ContainsAnyExcept(RuleCharacters);

    /// <summary>Takes off quote, list, task, table and <c>:::</c> marks.</summary>
    private static string WithoutMarker(ReadOnlySpan<char> line)
    {
        while (line.Length > 0 && line[0] == '>')
        {
            line = line[1..].TrimStart();
        }

        if (line.Length > 1 && line[0] is '-' or '*' or '+' && line[1] == ' ')
        {
            line = line[2..].TrimStart();
        }
        else if (line.IndexOfAnyExceptInRange('0', '9') is > 0 and < 10 and var digits && digits + 1 < line.Length && line[digits] is '.' or ')' && line[digits + 1] == ' ')
        {
            line = line[(digits + 2)..].TrimStart();
        }

        if (line.Length > 3 && line[0] == '[' && line[2] == ']' && line[1] is ' ' or 'x' or 'X')
        {
            line = line[3..].TrimStart();
        }

        if (line.StartsWith(":::", StringComparison.Ordinal))
        {
            line = line.TrimStart(':').TrimStart();
        }

        return line.Length > 0 && line[0] == '|' ? line.ToString().Replace('|', ' ').Trim() : line.ToString();
    }
}

/// <summary>The fence that opened a code block.</summary>
internal readonly record struct CodeFence(char Mark, int Length)
{
    public static bool TryOpen(ReadOnlySpan<char> line, out CodeFence fence)
    {
        var text = line.TrimStart();
        fence = default;
        if (text.Length < 3 || text[0] is not ('`' or '~'))
        {
            return false;
        }

        var length = text.IndexOfAnyExcept(text[0]) is >= 0 and var end ? end : text.Length;
        if (length < 3 || (text[0] == '`' && text[length..].Contains('`')))
        {
            return false;
        }

        fence = new CodeFence(text[0], length);
        return true;
    }

    public bool IsClosedBy(ReadOnlySpan<char> line)
    {
        var text = line.Trim();
        return text.Length >= Length && text.IndexOfAnyExcept(Mark) < 0;
    }
}
