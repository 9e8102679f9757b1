using System.Buffers;
using System.Net;
using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>Takes the marks off one paragraph and leaves the words a reader sees, also those in attributes such as <c>title</c>.</summary>
internal static class InlineText
{
    private const int DeepestLink = 4;

    /// <summary>Brackets within brackets. Giving up beyond it also keeps the walk linear: no place is looked at from more marks than this.</summary>
    private const int DeepestBrackets = 5;

    private const int LongestLabel = 300;

    private static readonly SearchValues<string> VisibleAttributes =
        SearchValues.Create(["title", "description", "label", "alt", "summary", "heading", "caption"], StringComparison.OrdinalIgnoreCase);

    public static string Strip(string paragraph, bool mdx)
    {
        var words = new StringBuilder(paragraph.Length);
        new Walker(paragraph, mdx, words).Walk(0, paragraph.Length, 0);
        return words.ToString();
    }

    /// <summary>Adds text as it is, but for control characters (the search marks its hits with two of them).</summary>
    public static void AppendRaw(StringBuilder words, ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsControl(c) || c is '\n' or '\t')
            {
                words.Append(c);
            }
        }
    }

    private sealed class Walker(string text, bool mdx, StringBuilder words)
    {
        // Once a tag or brace is found never to close, none of its kind after it is looked for again: that keeps the walk linear.
        private bool _tagsEnd;
        private bool _bracesEnd;
        private readonly HashSet<int> _openTicks = [];

        public void Walk(int from, int to, int depth)
        {
            for (var i = from; i < to;)
            {
                i = text[i] switch
                {
                    '\\' when i + 1 < to && char.IsAsciiLetterOrDigit(text[i + 1]) is false && !char.IsWhiteSpace(text[i + 1]) => Keep(i + 1),
                    '`' => Code(i, to),
                    '<' => Tag(i, to),
                    '{' when mdx => Brace(i, to),
                    '!' when i + 1 < to && text[i + 1] == '[' => Link(i + 1, to, depth),
                    '[' => Link(i, to, depth),
                    '*' or '~' => Emphasis(i, to),
                    '_' when !(IsWord(i - 1) && IsWord(i + 1)) => i + 1,
                    '&' => Entity(i, to),
                    _ => Keep(i),
                };
            }
        }

        private bool IsWord(int i) => i >= 0 && i < text.Length && (char.IsLetterOrDigit(text[i]) || text[i] == '_');

        private int Keep(int at)
        {
            AppendRaw(words, text.AsSpan(at, 1));
            return at + 1;
        }

        private int Code(int i, int to)
        {
            var ticks = RunOf('`', i, to);
            if (_openTicks.Contains(ticks))
            {
                return i + ticks;
            }

            for (var j = i + ticks; j < to;)
            {
                var next = text.IndexOf('`', j, to - j);
                if (next < 0)
                {
                    break;
                }

                var run = RunOf('`', next, to);
                if (run == ticks)
                {
                    AppendRaw(words, text.AsSpan(i + ticks, next - i - ticks));
                    return next + run;
                }

                j = next + run;
            }

            _openTicks.Add(ticks);
            return i + ticks;
        }

        private int RunOf(char c, int from, int to)
        {
            var end = from;
            while (end < to && text[end] == c)
            {
                end++;
            }

            return end - from;
        }

        private int Tag(int i, int to)
        {
            if (_tagsEnd || i + 1 >= to || !(char.IsAsciiLetter(text[i + 1]) || text[i + 1] is '/' or '>'))
            {
                return Keep(i);
            }

            var end = TagEnd(i + 1, to);
            if (end < 0)
            {
                _tagsEnd = true;
                return Keep(i);
            }

            var inner = text.AsSpan(i + 1, end - i - 1);
            if (inner.Contains("://", StringComparison.Ordinal) && !inner.ContainsAny(" \n=\""))
            {
                AppendRaw(words, inner);
            }
            else
            {
                // A tag parts words: <li>one</li><li>two</li>. Inline ones such as <b> would not, but a blank too many harms no search.
                words.Append(' ');
                AppendVisibleAttributes(inner);
            }

            return end + 1;
        }

        /// <summary>The '>' of a tag; those in quotes and braces are not it.</summary>
        private int TagEnd(int from, int to)
        {
            var quote = '\0';
            var braces = 0;
            for (var i = from; i < to; i++)
            {
                var c = text[i];
                if (quote != '\0')
                {
                    quote = c == quote ? '\0' : quote;
                }
                else if (c is '"' || (c is '\'' && (text[i - 1] == '=' || braces > 0)))
                {
                    quote = c;
                }
                else if (c is '{' or '}')
                {
                    braces = Math.Max(0, braces + (c == '{' ? 1 : -1));
                }
                else if (c == '>' && braces == 0)
                {
                    return i;
                }
            }

            return -1;
        }

        private void AppendVisibleAttributes(ReadOnlySpan<char> tag)
        {
            while (tag.IndexOf('=') is > 0 and var equals)
            {
                var name = tag[..equals].TrimEnd();
                name = name[(name.LastIndexOfAny(" \t\n") + 1)..];
                var rest = tag[(equals + 1)..].TrimStart();
                var braced = rest.Length > 0 && rest[0] == '{';
                rest = braced ? rest[1..].TrimStart() : rest;
                if (rest.Length == 0)
                {
                    return;
                }

                if (rest[0] is not ('"' or '\'' or '`'))
                {
                    tag = rest;
                    continue;
                }

                var close = rest[1..].IndexOf(rest[0]);
                if (close < 0)
                {
                    return;
                }

                if (VisibleAttributes.Contains(name.ToString()))
                {
                    AppendRaw(words, rest.Slice(1, close));
                    words.Append(' ');
                }

                tag = rest[(close + 2)..];
            }
        }

        /// <summary>An expression is code, but <c>{" "}</c> and <c>{'text'}</c> are text.</summary>
        private int Brace(int i, int to)
        {
            if (_bracesEnd)
            {
                return Keep(i);
            }

            var depth = 0;
            for (var j = i; j < to; j++)
            {
                depth += text[j] == '{' ? 1 : text[j] == '}' ? -1 : 0;
                if (depth == 0)
                {
                    var inner = text.AsSpan(i + 1, j - i - 1).Trim();
                    if (inner.Length >= 2 && inner[0] is '"' or '\'' or '`' && inner[^1] == inner[0])
                    {
                        AppendRaw(words, inner[1..^1]);
                    }

                    return j + 1;
                }
            }

            _bracesEnd = true;
            return Keep(i);
        }

        private int Link(int open, int to, int depth)
        {
            var close = depth < DeepestLink ? Pair(open, to, '[', ']') : -1;
            if (close < 0)
            {
                return Keep(open);
            }

            var start = open + 1;
            if (start < close && text[start] is '^')
            {
                // A footnote's mark.
                return close + 1;
            }

            var after = close + 1;
            if (after < to && text[after] == '(' && Pair(after, to, '(', ')') is > 0 and var end)
            {
                Walk(start, close, depth + 1);
                return end + 1;
            }

            if (after < to && text[after] == '[' && text.IndexOf(']', after, Math.Min(to - after, LongestLabel)) is > 0 and var label)
            {
                Walk(start, close, depth + 1);
                return label + 1;
            }

            if (after < to && text[after] == ':' && (open == 0 || text[open - 1] == '\n'))
            {
                // The definition of a link: an address, no words.
                return text.IndexOf('\n', after, to - after) is > 0 and var line ? line : to;
            }

            if (start < close && text[start] == '!')
            {
                // The kind of a note: [!WARNING].
                Walk(start + 1, close, depth + 1);
                return after;
            }

            return Keep(open);
        }

        /// <summary>Where the bracket that pairs with the one at <paramref name="from"/> stands, or -1.</summary>
        private int Pair(int from, int to, char open, char close)
        {
            var depth = 0;
            for (var i = from; i < to && depth <= DeepestBrackets; i++)
            {
                depth += text[i] == open ? 1 : text[i] == close ? -1 : 0;
                if (depth == 0)
                {
                    return i;
                }
            }

            return -1;
        }

        private int Emphasis(int i, int to)
        {
            var run = RunOf(text[i], i, to);
            var alone = (i == 0 || char.IsWhiteSpace(text[i - 1])) && (i + run >= text.Length || char.IsWhiteSpace(text[i + run]));
            if (alone || (text[i] == '~' && run != 2))
            {
                AppendRaw(words, text.AsSpan(i, run));
            }

            return i + run;
        }

        private int Entity(int i, int to)
        {
            var end = text.IndexOf(';', i, Math.Min(to - i, 32));
            if (end < 0)
            {
                return Keep(i);
            }

            AppendRaw(words, WebUtility.HtmlDecode(text[i..(end + 1)]));
            return end + 1;
        }
    }
}
