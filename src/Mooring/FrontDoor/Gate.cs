using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Mooring.Auth.Server;
using Mooring.Configuration;

namespace Mooring.FrontDoor;

/// <summary>
/// Who may talk to the MCP paths from where: the Host header against DNS rebinding, the Origin header against foreign pages
/// (2025-11-25, basic/transports, "Security Warning"), and CORS for the pages that may. What is refused is logged, once a minute for each kind: whoever runs the gateway sees which
/// setting lacks a name, and whoever sends others cannot fill the log.
/// </summary>
internal sealed partial class Gate
{
    private const string Methods = "GET, POST, DELETE, OPTIONS";
    private const string RequestHeaders = "Content-Type, Accept, Authorization, Mcp-Session-Id, MCP-Protocol-Version, Last-Event-ID";
    private const string ExposedHeaders = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After";

    /// <summary>What is written of a Host or an Origin in the log. Names of hosts have at most 253 characters.</summary>
    private const int LongestSaid = 300;

    private static readonly TimeSpan SayEvery = TimeSpan.FromMinutes(1);

    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly ILogger<Gate> _logger;
    private long _saidHost = long.MinValue / 2;
    private long _saidOrigin = long.MinValue / 2;
    private ServedNames _rules;

    public Gate(ConfigStore config, TimeProvider time, ILogger<Gate> logger)
    {
        (_config, _time, _logger) = (config, time, logger);
        _rules = new ServedNames(config.Current);
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
            if (IsTimeToSay(ref _saidOrigin))
            {
                Log.OriginRefused(_logger, Pages.Plain(origin.ToString(), LongestSaid));
            }

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
            rules = _rules = new ServedNames(_config.Current);
        }

        var host = context.Request.Host;
        if (rules.AllowsHost(host.Host, host.Value ?? ""))
        {
            return null;
        }

        if (IsTimeToSay(ref _saidHost))
        {
            Log.HostRefused(_logger, Pages.Plain(host.Value ?? "", LongestSaid), rules.ToString());
        }

        return "The Host of this request is not served here; add it to \"hosts\" if it should be.";
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

    private bool IsTimeToSay(ref long said)
    {
        var before = Volatile.Read(ref said);
        return _time.GetElapsedTime(before) >= SayEvery && Interlocked.CompareExchange(ref said, _time.GetTimestamp(), before) == before;
    }

    private static partial class Log
    {
        [LoggerMessage(1204, LogLevel.Warning, "A request for host {Host} was refused: the gateway answers under {Names}. If it should be reached by that name, set publicUrl to it or add it to hosts.", EventName = "HostRefused")]
        public static partial void HostRefused(ILogger logger, string host, string names);

        [LoggerMessage(1205, LogLevel.Warning, "A request of a page of {Origin} was refused. If such pages may use the gateway, add that to origins.", EventName = "OriginRefused")]
        public static partial void OriginRefused(ILogger logger, string origin);
    }
}
