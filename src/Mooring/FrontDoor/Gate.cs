using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Mooring.Configuration;

namespace Mooring.FrontDoor;

/// <summary>
/// Who may talk to the MCP paths from where: the Host header against DNS rebinding, the Origin header against foreign pages
/// (2025-11-25, basic/transports, "Security Warning"), and CORS for the pages that may.
/// </summary>
internal sealed class Gate
{
    private const string Methods = "GET, POST, DELETE, OPTIONS";
    private const string RequestHeaders = "Content-Type, Accept, Authorization, Mcp-Session-Id, MCP-Protocol-Version, Last-Event-ID";
    private const string ExposedHeaders = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After";

    private readonly ConfigStore _config;
    private Rules _rules;

    public Gate(ConfigStore config)
    {
        _config = config;
        _rules = new Rules(config.Current);
    }

    /// <returns>What is wrong, or null when the request may pass. CORS headers are set where the origin is allowed.</returns>
    public string? Check(HttpContext context)
    {
        if (CheckHost(context) is { } wrong)
        {
            return wrong;
        }

        var rules = _rules;
        var origin = context.Request.Headers.Origin;
        if (origin.Count == 0)
        {
            return null;
        }

        if (origin.Count != 1 || !rules.AllowsOrigin(origin[0]!))
        {
            return "The Origin of this request is not allowed; add it to \"origins\" if it should be.";
        }

        var headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = origin;
        headers.AccessControlAllowCredentials = "true";
        headers.AccessControlExposeHeaders = ExposedHeaders;
        headers.Append(HeaderNames.Vary, "Origin");
        return null;
    }

    /// <summary>As <see cref="Check"/>, of paths that pages of any origin may use.</summary>
    public string? CheckHost(HttpContext context)
    {
        var rules = _rules;
        if (!ReferenceEquals(rules.Config, _config.Current))
        {
            rules = _rules = new Rules(_config.Current);
        }

        var host = context.Request.Host;
        return rules.AllowsHost(host) ? null : "The Host of this request is not served here; add it to \"hosts\" if it should be.";
    }

    /// <summary>Answers the question a browser asks before it sends a request (Fetch, "CORS-preflight request").</summary>
    public static void Preflight(HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = StatusCodes.Status204NoContent;
        if (response.Headers.AccessControlAllowOrigin.Count > 0)
        {
            var asked = context.Request.Headers.AccessControlRequestHeaders;
            response.Headers.AccessControlAllowMethods = Methods;
            response.Headers.AccessControlAllowHeaders = asked.Count > 0 ? asked : RequestHeaders;
            response.Headers.AccessControlMaxAge = "600";
        }
    }

    /// <summary>The rules of one configuration.</summary>
    private sealed class Rules
    {
        private readonly HashSet<string> _hosts = new(StringComparer.OrdinalIgnoreCase) { "localhost", "127.0.0.1", "[::1]" };
        private readonly HostPattern[] _hostPatterns;
        private readonly OriginPattern[] _origins;
        private readonly bool _anyHost;
        private readonly bool _anyAddress;

        public Rules(MooringConfig config)
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

        public bool AllowsHost(HostString host) =>
            _anyHost || _hosts.Contains(host.Host) || (_anyAddress && IPAddress.TryParse(host.Host, out _)) || Array.Exists(_hostPatterns, pattern => pattern.Matches(host.Value!));

        public bool AllowsOrigin(string origin) => Array.Exists(_origins, pattern => pattern.Matches(origin));

        private static bool IsPlain(string host) => !host.Contains('*', StringComparison.Ordinal) && host.LastIndexOf(':') <= host.LastIndexOf(']');
    }
}
