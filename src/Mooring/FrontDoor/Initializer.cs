using System.Text;
using Microsoft.AspNetCore.Http;
using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Answers <c>initialize</c> from what is known of the servers, at once; only the one server of a route is waited for, shortly, where nobody ever
/// saw it, or where what it says is each person's own. Never
/// refuses for a passing reason: clients would take a 4xx as a sign of an older transport (invariant 4).
/// </summary>
internal sealed class Initializer(ConfigStore config, TimeProvider time, SessionTable sessions, UpstreamTable upstreams, Catalogue catalogue, FrontDoorServices services)
{
    /// <summary>Instructions of all servers together; models pay for every byte of it.</summary>
    private const int LongestInstructions = 16 * 1024;

    /// <summary>Streamable HTTP: makes a session and answers with its id.</summary>
    public async Task InitializeAsync(HttpContext context, string? server, Frame request)
    {
        var id = request.Id.ToArray();
        if (!Negotiate(request, out var version, out var wrong))
        {
            await Answers.RefuseAsync(context, StatusCodes.Status200OK, JsonRpc.InvalidParams, wrong, id);
            return;
        }

        var parameters = request.Span(request.Envelope.Params).ToArray();
        var (session, miss) = await sessions.CreateAsync(NewRecord(context, server, "http", version) with { InitializeParams = parameters });
        if (session is null)
        {
            await Answers.MissAsync(context, miss, id);
            return;
        }

        context.Response.Headers["Mcp-Session-Id"] = session.Id;
        var result = await ResultAsync(session, services.AccessOf(context, session));
        await Answers.WriteAsync(context, StatusCodes.Status200OK, JsonRpc.Result(id, result));
    }

    /// <summary>HTTP+SSE: the session is there already; the answer goes to its stream.</summary>
    public async Task<byte[]> InitializeAsync(Session session, Frame request, Access access)
    {
        var id = request.Id.ToArray();
        if (!Negotiate(request, out var version, out var wrong))
        {
            return JsonRpc.Error(id, JsonRpc.InvalidParams, wrong);
        }

        var parameters = request.Span(request.Envelope.Params).ToArray();
        if (!await sessions.ChangeAsync(session, record => record with { InitializeParams = parameters, Version = version.ToWire() }))
        {
            return JsonRpc.Error(id, JsonRpc.InternalError, "The gateway's store is not reachable just now. Try again.");
        }

        var result = await ResultAsync(session, access);
        return JsonRpc.Result(id, result);
    }

    public SessionRecord NewRecord(HttpContext context, string? server, string transport, ProtocolVersion version)
    {
        var principal = Principal.Of(context);
        var now = time.GetUtcNow();
        return new SessionRecord
        {
            Id = Session.NewId(),
            Issuer = principal.Issuer,
            Subject = principal.Subject,
            Server = server,
            Transport = transport,
            Version = version.ToWire(),
            InitializeParams = ReadOnlyMemory<byte>.Empty,
            Created = now,
            LastSeen = now,
        };
    }

    /// <summary>The client's version where the gateway speaks it, else the latest (2025-11-25, basic/lifecycle, "Version Negotiation").</summary>
    private static bool Negotiate(Frame request, out ProtocolVersion version, out string wrong)
    {
        version = ProtocolVersions.Latest;
        wrong = "";
        if (!request.Envelope.Params.IsPresent || !request.Envelope.ProtocolVersion.IsPresent || request.Span(request.Envelope.ProtocolVersion)[0] != '"')
        {
            wrong = "initialize needs params with a string \"protocolVersion\".";
            return false;
        }

        if (ProtocolVersions.TryParseWithSessions(request.Text(request.Envelope.ProtocolVersion), out var asked))
        {
            version = asked;
        }

        return true;
    }

    /// <summary>The <c>InitializeResult</c> of a session's route, for a caller who may do this much.</summary>
    public async Task<byte[]> ResultAsync(Session session, Access access)
    {
        if (session.Server is null)
        {
            return MergedResult(session, access);
        }

        if (upstreams.Find(session.Server) is not { } upstream)
        {
            return Generic(session, upstream: null);
        }

        var known = catalogue.SaidTo(session, upstream);
        if (known.IsEmpty)
        {
            if (Lists.MayLook(upstream))
            {
                await LookAsync(session, upstream);
            }

            known = catalogue.LikelySaidTo(session, upstream);
        }

        var at = known.IsEmpty ? default : JsonFields.Find(known.Span, "protocolVersion"u8);
        // How long a server of 2026-07-28 lets it be kept is nothing that initialize has.
        return at.IsPresent
            ? WithTasksAsKnown(session.Version, upstream, JsonFields.Without(JsonFields.Without(JsonFields.Splice(known.Span, at, JsonText.Quote(session.Version.ToWire())), "ttlMs"u8), "cacheScope"u8))
            : Generic(session, upstream);
    }

    /// <summary>What is known of a server without sessions may be what a client of 2025-11-25 is told by the gateway; what one with sessions says of itself is its own.</summary>
    private static byte[] WithTasksAsKnown(ProtocolVersion version, Upstream upstream, byte[] result)
    {
        var at = version.HasTasks() || !upstream.IsStateless ? default : JsonFields.Find(result, "capabilities"u8);
        return at.IsPresent ? JsonFields.Splice(result, at, JsonFields.Without(result.AsSpan(at.Start, at.Length), "tasks"u8)) : result;
    }

    private async Task LookAsync(Session session, Upstream upstream)
    {
        try
        {
            await session.Links.OpenAsync(upstream, CancellationToken.None).AsTask().WaitAsync(config.Current.Calls.FirstListWait, time);
        }
        catch (TimeoutException)
        {
            // It goes on starting; until it is known it is taken to be capable of everything.
        }
    }

    private byte[] Generic(Session session, Upstream? upstream) => Build(session, upstream?.Name ?? "mooring", hasTasks: false, instructions: null);

    private byte[] MergedResult(Session session, Access access)
    {
        var instructions = new StringBuilder();
        var hasTasks = false;
        foreach (var upstream in upstreams.All)
        {
            if (access.Hides(upstream.Name))
            {
                continue;
            }

            var known = catalogue.LikelySaidTo(session, upstream);
            hasTasks |= !known.IsEmpty && JsonFields.Find(known.Span, "capabilities"u8, "tasks"u8).IsPresent;
            if (!known.IsEmpty && JsonFields.String(known.Span, "instructions"u8) is { Length: > 0 } text)
            {
                instructions.Append("## ").Append(upstream.Name).Append("\n\n").Append(text.Trim()).Append("\n\n");
            }
        }

        var all = instructions.Length > LongestInstructions
            ? instructions.ToString(0, LongestInstructions) + "\n\n[cut: the servers' instructions are longer than the gateway passes on]"
            : instructions.ToString().TrimEnd();
        return Build(session, "mooring", hasTasks && session.Version.HasTasks(), all.Length == 0 ? null : all);
    }

    private static byte[] Build(Session session, string name, bool hasTasks, string? instructions) =>
    [
        .. "{\"protocolVersion\":"u8, .. JsonText.Quote(session.Version.ToWire()),
        .. ",\"capabilities\":{\"tools\":{\"listChanged\":true},\"prompts\":{\"listChanged\":true},\"resources\":{\"subscribe\":true,\"listChanged\":true},\"logging\":{}"u8,
        .. session.Version >= ProtocolVersion.V2025_03_26 ? ",\"completions\":{}"u8 : default,
        .. hasTasks ? [(byte)',', .. TasksExtension.OlderCapability] : default(ReadOnlySpan<byte>),
        .. "},\"serverInfo\":{\"name\":"u8, .. JsonText.Quote(name), .. ",\"version\":"u8, .. JsonText.Quote(MooringVersion.Current), (byte)'}',
        .. instructions is null ? [] : (byte[])[.. ",\"instructions\":"u8, .. JsonText.Quote(instructions)],
        (byte)'}',
    ];
}
