using System.Globalization;
using System.Text;

namespace Mooring.Connectors.Docs;

/// <summary>Makes the anchors of one page as the common docs sites do (the way of github-slugger), so that links to sections hit.</summary>
internal sealed class AnchorMaker
{
    private readonly Dictionary<string, int> _used = new(StringComparer.Ordinal);

    /// <summary>Splits off an id the author gave: <c>## Words {#id}</c> or <c>## Words [#id]</c>.</summary>
    public static (string Words, string? Id) SplitId(string heading)
    {
        var text = heading.TrimEnd();
        if (text.Length > 3 && text[^1] is '}' or ']')
        {
            var open = text.LastIndexOf(text[^1] == '}' ? "{#" : "[#", StringComparison.Ordinal);
            if (open >= 0)
            {
                var id = text[(open + 2)..^1];
                if (id.Length > 0 && id.All(c => char.IsLetterOrDigit(c) || c is '-' or '_' or '.' or ':'))
                {
                    return (text[..open].TrimEnd(), id);
                }
            }
        }

        return (heading, null);
    }

    public string Make(string heading)
    {
        var slug = new StringBuilder(heading.Length);
        foreach (var rune in heading.Trim().EnumerateRunes())
        {
            if (rune.Value == ' ')
            {
                slug.Append('-');
            }
            else if (rune.Value is '-' or '_' || Rune.IsLetterOrDigit(rune)
                || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.LetterNumber)
            {
                slug.Append(Rune.ToLowerInvariant(rune).ToString());
            }
        }

        var wanted = slug.ToString();
        var anchor = wanted;
        while (_used.ContainsKey(anchor))
        {
            anchor = $"{wanted}-{++_used[wanted]}";
        }

        _used[anchor] = 0;
        return anchor;
    }
}
