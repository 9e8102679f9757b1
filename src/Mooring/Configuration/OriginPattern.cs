using System.Buffers;

namespace Mooring.Configuration;

/// <summary>
/// An origin that browsers may call from: scheme, host, port (RFC 6454). A leading <c>*</c> in the host stands for one or more whole
/// labels, so that <c>https://*.example.com</c> is not <c>https://evil-example.com</c>; a port <c>*</c> for any port. What is no pattern is an
/// error of the configuration: a setting that matches nothing would lock everybody out without a word.
/// </summary>
internal sealed class OriginPattern
{
    private static readonly SearchValues<char> NotInOrigins = SearchValues.Create("/?#@\\ ");

    private readonly string _scheme;
    private readonly string _host;
    private readonly bool _subdomains;
    private readonly int? _port;

    private OriginPattern(string scheme, string host, bool subdomains, int? port)
    {
        _scheme = scheme;
        _host = host;
        _subdomains = subdomains;
        _port = port;
    }

    /// <returns>Null where the text is no pattern.</returns>
    public static OriginPattern? Parse(string text)
    {
        if (!TrySplit(text, out var scheme, out var host, out var port) || host.Length == 0)
        {
            return null;
        }

        var subdomains = host.StartsWith("*.", StringComparison.Ordinal);
        if (subdomains)
        {
            host = host[1..];
        }

        if (host.Contains('*', StringComparison.Ordinal))
        {
            return null;
        }

        return port == "*"
            ? new OriginPattern(scheme, host, subdomains, port: null)
            : TryPort(scheme, port, out var number) ? new OriginPattern(scheme, host, subdomains, number) : null;
    }

    public bool Matches(string origin) =>
        TrySplit(origin, out var scheme, out var host, out var portText)
        && TryPort(scheme, portText, out var port)
        && string.Equals(scheme, _scheme, StringComparison.OrdinalIgnoreCase)
        && (_port is null || _port == port)
        && (_subdomains
            ? host.Length > _host.Length && host.EndsWith(_host, StringComparison.OrdinalIgnoreCase) && AreLabels(host.AsSpan(0, host.Length - _host.Length))
            : string.Equals(host, _host, StringComparison.OrdinalIgnoreCase));

    private static bool AreLabels(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '.' or '_'))
            {
                return false;
            }
        }

        return text[0] != '.' && text[^1] != '.';
    }

    private static bool TrySplit(string text, out string scheme, out string host, out string port)
    {
        scheme = host = port = "";
        var at = text.IndexOf("://", StringComparison.Ordinal);
        if (at <= 0)
        {
            return false;
        }

        scheme = text[..at];
        var rest = text[(at + 3)..];
        if (rest.AsSpan().ContainsAny(NotInOrigins))
        {
            return false;
        }

        var colon = rest.LastIndexOf(':');
        var bracket = rest.LastIndexOf(']');
        (host, port) = colon > bracket ? (rest[..colon], rest[(colon + 1)..]) : (rest, "");
        return true;
    }

    private static bool TryPort(string scheme, string text, out int port)
    {
        if (text.Length == 0)
        {
            port = string.Equals(scheme, "https", StringComparison.OrdinalIgnoreCase) ? 443 : 80;
            return true;
        }

        return int.TryParse(text, System.Globalization.NumberStyles.None, provider: null, out port) && port is > 0 and <= 65535;
    }
}
