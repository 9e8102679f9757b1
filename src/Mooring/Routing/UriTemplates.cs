using System.Collections.Concurrent;
using System.Text;
using System.Text.RegularExpressions;

namespace Mooring.Routing;

/// <summary>Whether a URI can come from a URI template (RFC 6570): enough to find the server that owns it; that server expands it itself.</summary>
internal static class UriTemplates
{
    private static readonly ConcurrentDictionary<string, Regex?> Compiled = new(StringComparer.Ordinal);

    public static bool Matches(string template, string uri)
    {
        if (Compiled.Count > 10_000)
        {
            Compiled.Clear();
        }

        var regex = Compiled.GetOrAdd(template, static t => Compile(t));
        try
        {
            return regex?.IsMatch(uri) ?? false;
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }

    private static Regex? Compile(string template)
    {
        var pattern = new StringBuilder("^");
        var from = 0;
        while (from < template.Length)
        {
            var open = template.IndexOf('{', from);
            if (open < 0)
            {
                break;
            }

            var close = template.IndexOf('}', open);
            if (close < 0)
            {
                return null;
            }

            pattern.Append(Regex.Escape(template[from..open]));
            // Operators that reserve characters may span segments; a plain variable stays within one.
            pattern.Append(template[open + 1] is '+' or '#' or '/' or '?' or '&' or ';' or '.' || template[close - 1] == '*' ? ".*" : "[^/]*");
            from = close + 1;
        }

        pattern.Append(Regex.Escape(template[from..])).Append('$');
        return new Regex(pattern.ToString(), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, TimeSpan.FromMilliseconds(100));
    }
}
