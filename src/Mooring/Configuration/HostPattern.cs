namespace Mooring.Configuration;

/// <summary>
/// A name that the Host header may carry: with any port, or with the one that is written. A leading <c>*</c> stands for one or more whole labels.
/// </summary>
internal sealed class HostPattern
{
    // A header without a port is about that of http or of https; which of the two it was, a proxy in between may know alone.
    private readonly OriginPattern _http;
    private readonly OriginPattern _https;

    private HostPattern(OriginPattern http, OriginPattern https)
    {
        _http = http;
        _https = https;
    }

    /// <returns>Null where the text is no pattern.</returns>
    public static HostPattern? Parse(string text)
    {
        var hasPort = text.LastIndexOf(':') > text.LastIndexOf(']');
        var pattern = hasPort ? text : text + ":*";
        return OriginPattern.Parse("http://" + pattern) is { } http && OriginPattern.Parse("https://" + pattern) is { } https
            ? new HostPattern(http, https)
            : null;
    }

    public bool Matches(string host) => _http.Matches("http://" + host) || _https.Matches("https://" + host);
}
