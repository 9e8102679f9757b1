using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Puts the files named by <c>&lt;include&gt;path&lt;/include&gt;</c> in place of the tags. Paths are relative to the file that names
/// them. Nothing outside the content folder is ever read, whether named by <c>..</c>, by an absolute path or through a link.
/// A tag that cannot be resolved becomes a comment that says why; in code it is left alone.
/// </summary>
internal sealed class IncludeResolver
{
    /// <summary>Includes within includes. Real sites use one or two levels.</summary>
    public const int Deepest = 8;

    /// <summary>Includes of one page altogether.</summary>
    public const int Most = 256;

    /// <summary>Longest attributes, and longest path: looking no further keeps a line of many open tags cheap.</summary>
    private const int LongestTag = 500;

    private const string Open = "<include";
    private const string Close = "</include>";

    private readonly ContentRoot _root;
    private readonly long _maxSize;
    private readonly Dictionary<string, FileStamp> _files = new(StringComparer.Ordinal);
    private readonly List<string> _warnings = [];

    // The files being resolved now, outermost first: one of them again is a cycle.
    private readonly List<string> _chain = [];
    private int _count;
    private long _length;

    private IncludeResolver(ContentRoot root, string filePath, long maxSize)
    {
        _root = root;
        _maxSize = maxSize;
        _chain.Add(filePath);
    }

    /// <exception cref="FormatException">The page grows over the limit by its includes.</exception>
    public static (string Body, IReadOnlyDictionary<string, FileStamp> Files, IReadOnlyList<string> Warnings) Resolve(
        ContentRoot root, string filePath, string body, long maxSize)
    {
        var resolver = new IncludeResolver(root, filePath, maxSize);
        return (resolver.Expand(body), resolver._files, resolver._warnings);
    }

    private string Expand(string body)
    {
        if (!body.Contains(Open, StringComparison.Ordinal))
        {
            Grow(body.Length);
            return body;
        }

        var result = new StringBuilder(body.Length);
        CodeFence? fence = null;
        for (var at = 0; at < body.Length;)
        {
            var end = body.IndexOf('\n', at) is >= 0 and var newLine ? newLine + 1 : body.Length;
            var line = body.AsSpan(at, end - at);
            if (fence is { } open)
            {
                fence = open.IsClosedBy(line) ? null : fence;
                Append(result, line);
            }
            else if (CodeFence.TryOpen(line.TrimEnd('\n'), out var opened))
            {
                fence = opened;
                Append(result, line);
            }
            else
            {
                Line(result, line);
            }

            at = end;
        }

        return result.ToString();
    }

    private void Line(StringBuilder result, ReadOnlySpan<char> line)
    {
        var inCode = false;
        while (line.IndexOf(Open, StringComparison.Ordinal) is >= 0 and var start)
        {
            inCode ^= line[..start].Count('`') % 2 == 1;
            Append(result, line[..start]);
            line = line[start..];
            if (!inCode && TryTag(line, out var attributes, out var path, out var length))
            {
                result.Append(Take(path, attributes));
                line = line[length..];
            }
            else
            {
                Append(result, Open);
                line = line[Open.Length..];
            }
        }

        Append(result, line);
    }

    private static bool TryTag(ReadOnlySpan<char> line, out string attributes, out string path, out int length)
    {
        (attributes, path, length) = ("", "", 0);
        var rest = line[Open.Length..];
        var tagEnd = rest[..Math.Min(rest.Length, LongestTag)].IndexOf('>');
        if (tagEnd < 0 || rest[0] is not ('>' or ' ' or '\t'))
        {
            return false;
        }

        var inner = rest[(tagEnd + 1)..Math.Min(rest.Length, tagEnd + 1 + LongestTag)];
        var close = inner.IndexOf(Close, StringComparison.Ordinal);
        if (close < 0)
        {
            return false;
        }

        attributes = rest[..tagEnd].ToString();
        path = inner[..close].Trim().ToString();
        length = Open.Length + tagEnd + 1 + close + Close.Length;
        return true;
    }

    /// <summary>What stands in place of one tag.</summary>
    private string Take(string path, string attributes)
    {
        if (++_count > Most)
        {
            throw new FormatException($"it has more than {Most} includes");
        }

        if (_chain.Count > Deepest)
        {
            return Unresolved(path, $"includes nest deeper than {Deepest}");
        }

        if (Place(path) is not { } target)
        {
            return Unresolved(path, "the path does not lie in the content folder");
        }

        if (_chain.Contains(target, StringComparer.Ordinal))
        {
            return Unresolved(path, "the file includes itself");
        }

        var stamp = _files[target] = _root.Stamp(target);
        if (stamp.RealPath is null)
        {
            return Unresolved(path, "there is no such file in the content folder");
        }

        try
        {
            return Content(target, PageReader.ReadSource(stamp, _maxSize), attributes);
        }
        catch (DecoderFallbackException)
        {
            return Unresolved(path, "the file is not valid UTF-8");
        }
        catch (FormatException error) when (_length <= _maxSize && _count <= Most)
        {
            return Unresolved(path, error.Message);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Unresolved(path, "the file cannot be read");
        }
    }

    private string Content(string target, string source, string attributes)
    {
        if (Path.GetExtension(target).ToUpperInvariant() is not (".MD" or ".MDX"))
        {
            Grow(source.Length);
            return AsCode(source, Language(attributes) ?? Path.GetExtension(target).TrimStart('.'));
        }

        _chain.Add(target);
        try
        {
            return Expand(FrontMatter.Split(source).Body).Trim('\n');
        }
        finally
        {
            _chain.RemoveAt(_chain.Count - 1);
        }
    }

    /// <summary>The path relative to the content folder, by spelling alone; null when it leaves the folder.</summary>
    private string? Place(string path)
    {
        if (path.Length == 0 || Path.IsPathRooted(path) || path.AsSpan().ContainsAny('\0', '\\'))
        {
            return null;
        }

        var folder = _chain[^1].LastIndexOf('/') is >= 0 and var slash ? _chain[^1][..slash].Split('/') : [];
        var parts = new List<string>(folder);
        foreach (var part in path.Split('/'))
        {
            if (part is "" or ".")
            {
                continue;
            }

            if (part != "..")
            {
                parts.Add(part);
            }
            else if (parts.Count == 0)
            {
                return null;
            }
            else
            {
                parts.RemoveAt(parts.Count - 1);
            }
        }

        return parts.Count == 0 ? null : string.Join('/', parts);
    }

    private string Unresolved(string path, string why)
    {
        _warnings.Add($"include '{path}' in {_chain[^1]}: {why}");
        var shown = path.Replace("*/", "* /", StringComparison.Ordinal).Replace("--", "- -", StringComparison.Ordinal);
        return _chain[0].EndsWith(".mdx", StringComparison.OrdinalIgnoreCase)
            ? $"{{/* include {shown}: {why} */}}"
            : $"<!-- include {shown}: {why} -->";
    }

    private static string? Language(string attributes)
    {
        var at = attributes.IndexOf("lang=\"", StringComparison.Ordinal);
        var end = at < 0 ? -1 : attributes.IndexOf('"', at + 6);
        return end < 0 ? null : attributes[(at + 6)..end];
    }

    private static string AsCode(string source, string language)
    {
        var longest = 0;
        var run = 0;
        foreach (var c in source)
        {
            run = c == '`' ? run + 1 : 0;
            longest = Math.Max(longest, run);
        }

        var fence = new string('`', Math.Max(3, longest + 1));
        return $"\n{fence}{language}\n{source.TrimEnd('\n')}\n{fence}\n";
    }

    private void Append(StringBuilder result, ReadOnlySpan<char> text)
    {
        Grow(text.Length);
        result.Append(text);
    }

    private void Grow(int by)
    {
        _length += by;
        if (_length > _maxSize)
        {
            throw new FormatException($"with its includes it is larger than maxFileSize ({_maxSize})");
        }
    }
}
