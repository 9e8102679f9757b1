using System.Text;

namespace Mooring.Upstreams.Stateless;

/// <summary>Values of the body as header values (2026-07-28, basic/transports/streamable-http, "Value Encoding").</summary>
internal static class HeaderText
{
    private const string Prefix = "=?base64?";
    private const string Suffix = "?=";

    /// <summary>The text as it is where it can stand in a header, else in Base64 between the marks that say so.</summary>
    public static string Encode(string text)
    {
        var isPlain = text.Length > 0 && !IsSpace(text[0]) && !IsSpace(text[^1]) && (text.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0 || text.All(c => c is (>= ' ' and <= '~') or '\t'))
            && !(text.StartsWith(Prefix, StringComparison.Ordinal) && text.EndsWith(Suffix, StringComparison.Ordinal));
        return isPlain ? text : Prefix + Convert.ToBase64String(Encoding.UTF8.GetBytes(text)) + Suffix;
    }

    private static bool IsSpace(char c) => c is ' ' or '\t';
}
