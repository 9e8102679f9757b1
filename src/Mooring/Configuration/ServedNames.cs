using System.Net;

namespace Mooring.Configuration;

/// <summary>Under which names a gateway of one configuration answers, and to pages of which origins.</summary>
internal sealed class ServedNames
{
    private readonly HashSet<string> _hosts = new(StringComparer.OrdinalIgnoreCase) { "localhost", "127.0.0.1", "[::1]" };
    private readonly HostPattern[] _hostPatterns;
    private readonly OriginPattern[] _origins;
    private readonly bool _anyHost;
    private readonly bool _anyAddress;

    public ServedNames(MooringConfig config)
    {
        Config = config;
        // Plain names are looked up: every request asks.
        _hosts.UnionWith(config.Hosts.Where(IsPlain));
        _hostPatterns = [.. config.Hosts.Where(host => !IsPlain(host)).Select(HostPattern.Parse).OfType<HostPattern>()];
        if (config.PublicUrl is { } url)
        {
            // As browsers write it, also where the configuration has letters of other alphabets.
            _hosts.Add(url.IdnHost);
        }

        if (config.Hosts.Count == 0)
        {
            // Where nothing says what the gateway is called, whoever lets other machines reach it is believed to want any name. Else its own addresses are names of it as well:
            // balancers and neighbours call it by them, and no page of another site can (rebinding takes a name).
            List<ListenAddress> others = [.. config.Listen.Select(text => ListenAddress.TryParse(text, out var address) ? address : null).OfType<ListenAddress>().Where(address => !address.IsLoopback)];
            _anyHost = config.PublicUrl is null && others.Count > 0;
            _anyAddress = others.Exists(address => address.Address!.Equals(IPAddress.Any) || address.Address.Equals(IPAddress.IPv6Any));
            _hosts.UnionWith(others.Select(address => new Uri(address.ToString()).Host));
        }

        _origins = [.. config.Origins.Select(OriginPattern.Parse).OfType<OriginPattern>()];
        if (config.PublicUrl is { } self && OriginPattern.Parse(self.GetLeftPart(UriPartial.Authority)) is { } own)
        {
            _origins = [.. _origins, own];
        }
    }

    public MooringConfig Config { get; }

    /// <param name="host">As a Host header names it, without a port.</param>
    /// <param name="whole">The same with its port, where it has one.</param>
    public bool AllowsHost(string host, string whole) =>
        _anyHost || _hosts.Contains(host) || (_anyAddress && IPAddress.TryParse(host, out _)) || Array.Exists(_hostPatterns, pattern => pattern.Matches(whole));

    public bool AllowsOrigin(string origin) => Array.Exists(_origins, pattern => pattern.Matches(origin));

    /// <summary>The names, in words.</summary>
    public override string ToString()
    {
        if (_anyHost)
        {
            return "any name (neither publicUrl nor hosts is set)";
        }

        var names = _hosts.Concat(Config.Hosts.Where(host => !IsPlain(host))).Order(StringComparer.OrdinalIgnoreCase);
        return string.Join(", ", names) + (_anyAddress ? ", any IP address" : "");
    }

    private static bool IsPlain(string host) => !host.Contains('*', StringComparison.Ordinal) && host.LastIndexOf(':') <= host.LastIndexOf(']');
}
