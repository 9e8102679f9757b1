using System.Collections.Concurrent;
using System.Text;
using Mooring.Network;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Answers <c>server/discover</c> (2026-07-28, server/discover) with what <c>initialize</c> on the same route would say: from what is known, at
/// once; only the one server of its route is waited for, shortly, where nobody ever saw it.
/// </summary>
internal sealed class Discovery(Initializer initializer, Catalogue catalogue, UpstreamTable upstreams, TimeProvider time)
{
    /// <summary>How long a request waits for what its server speaks, where nobody knows.</summary>
    private static readonly TimeSpan MeetingPatience = TimeSpan.FromSeconds(10);

    private static readonly byte[] Gateway = Encoding.ASCII.GetBytes($"{{\"name\":\"mooring\",\"version\":\"{MooringVersion.Current}\"}}");

    /// <summary>What each server says that it is, taken out of its answer once.</summary>
    private readonly ConcurrentDictionary<string, (ReadOnlyMemory<byte> Of, byte[] Info)> _infos = new(StringComparer.Ordinal);

    public async Task<byte[]> ResultAsync(Session session, Access access)
    {
        var known = await initializer.ResultAsync(session, access);
        var offered = JsonFields.Object(known, "capabilities"u8);
        // Tasks of 2025-11-25 are those of the extension here, which the gateway has whatever its servers have.
        var capabilities = TasksExtension.AddTo(JsonFields.Without(offered.IsEmpty ? "{}"u8 : offered, "tasks"u8));
        var instructions = JsonFields.Find(known, "instructions"u8);
        return
        [
            .. "{\"supportedVersions\":"u8, .. StatelessChecks.SupportedVersions, .. ",\"capabilities\":"u8, .. capabilities,
            .. instructions.IsPresent ? [.. ",\"instructions\":"u8, .. known.AsSpan(instructions.Start, instructions.Length)] : (byte[])[],
            .. HintOf(session, access).More(), (byte)'}',
        ];
    }

    /// <summary>For how long and for whom: as the servers of the route say of theirs, and nothing as long as one of them was never seen.</summary>
    private CacheHint HintOf(Session session, Access access)
    {
        var servers = session.Server is { } name ? upstreams.Find(name) is { } only ? [only] : [] : upstreams.All;
        return CacheHint.Least(servers.Where(upstream => !access.Hides(upstream.Name)).Select(upstream => catalogue.HintOfSaidTo(session, upstream)));
    }

    /// <summary>Who answers on a route: its one server, as far as it ever said who it is, else the gateway.</summary>
    public byte[] ServerInfo(Session session)
    {
        if (session.Server is not { } server)
        {
            return Gateway;
        }

        var said = upstreams.Find(server) is { NeedsAccount: true } personal ? catalogue.SaidTo(session, personal) : catalogue.FindAny(server).InitializeResult;
        if (_infos.TryGetValue(server, out var known) && known.Of.Equals(said))
        {
            return known.Info;
        }

        var info = JsonFields.Object(said.Span, "serverInfo"u8) is { IsEmpty: false } found ? found.ToArray() : Gateway;
        _infos[server] = (said, info);
        return info;
    }

    /// <summary>Whether a server speaks the version itself, so that its own references for retries pass.</summary>
    public bool SpeaksStateless(string server) => upstreams.Find(server) is { IsStateless: true };

    /// <summary>Finds out whether a server speaks the version itself, where nobody knows.</summary>
    /// <param name="session">Whose link to it shows that.</param>
    /// <param name="server">The server's name.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>Null once it is known; else what keeps it from being known.</returns>
    public async ValueTask<string?> MeetAsync(Session session, string server, CancellationToken cancel)
    {
        if (upstreams.Find(server) is not { IsKnown: false } unknown)
        {
            return null;
        }

        if (!unknown.Health.TryLook())
        {
            return unknown.Health.LastFailure ?? "it is away";
        }

        await WaitingThreads.Leave();
        try
        {
            // Nothing is written meanwhile: not for long.
            var (link, why) = await session.Links.GetAsync(unknown, cancel).AsTask().WaitAsync(MeetingPatience, time, cancel);
            return link is null ? why : null;
        }
        catch (TimeoutException)
        {
            return $"it did not say within {MeetingPatience.TotalSeconds:0} s which version it speaks";
        }
    }

    /// <summary>The capabilities of one server, raw JSON; null while nothing is known of it.</summary>
    public byte[]? CapabilitiesOf(Session session, string server)
    {
        var said = upstreams.Find(server) is { NeedsAccount: true } personal ? catalogue.SaidTo(session, personal) : catalogue.FindAny(server).InitializeResult;
        return JsonFields.Object(said.Span, "capabilities"u8) is { IsEmpty: false } found ? found.ToArray() : null;
    }
}
