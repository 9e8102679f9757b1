namespace Mooring.Vault;

/// <summary>What a server says in <c>WWW-Authenticate</c> of the token that it wants (RFC 6750, 3; RFC 9728, 5.1).</summary>
/// <param name="Metadata">Where its metadata is; null: at the usual places.</param>
/// <param name="Scope">What the token has to allow; null: nothing is said.</param>
/// <param name="Error">Such as <c>insufficient_scope</c>.</param>
internal sealed record Challenge(Uri? Metadata, string? Scope, string? Error)
{
    public static readonly Challenge None = new(null, null, null);

    public static Challenge Parse(IEnumerable<string> headers)
    {
        foreach (var header in headers)
        {
            if (header.TrimStart().StartsWith("Bearer", StringComparison.OrdinalIgnoreCase))
            {
                var fields = Fields(header.TrimStart()["Bearer".Length..]);
                return new Challenge(
                    Uri.TryCreate(fields.GetValueOrDefault("resource_metadata"), UriKind.Absolute, out var metadata) && metadata.Scheme is "http" or "https" ? metadata : null,
                    fields.GetValueOrDefault("scope"),
                    fields.GetValueOrDefault("error"));
            }
        }

        return None;
    }

    /// <summary><c>name="value"</c> and <c>name=value</c>, separated by commas; a backslash in quotes takes the next letter as it is.</summary>
    private static Dictionary<string, string> Fields(string text)
    {
        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var at = 0;
        while (at < text.Length)
        {
            var equals = text.IndexOf('=', at);
            if (equals < 0)
            {
                break;
            }

            var name = text[at..equals].Trim(' ', ',', '\t');
            at = equals + 1;
            var value = new System.Text.StringBuilder();
            if (at < text.Length && text[at] == '"')
            {
                for (at++; at < text.Length && text[at] != '"'; at++)
                {
                    if (text[at] == '\\' && at + 1 < text.Length)
                    {
                        at++;
                    }

                    value.Append(text[at]);
                }

                at++;
            }
            else
            {
                for (; at < text.Length && text[at] is not (',' or ' '); at++)
                {
                    value.Append(text[at]);
                }
            }

            fields.TryAdd(name, value.ToString());
        }

        return fields;
    }
}
