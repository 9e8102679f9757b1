using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <summary>
/// Sessions that stand for clients without any (2026-07-28): servers that have sessions need one, lists depend on what a client can do, and calls
/// belong to somebody. One for each person (with the groups and roles of its token), route, set of declared capabilities and client (the name and version that it gives), shared by all
/// requests that agree in these; made by the first, ended by <see cref="SessionSweeper"/> when nothing was asked for a while, or sooner where its place is needed. Their ids never leave the
/// process and no store has them.
/// </summary>
/// <remarks>
/// What a server keeps per session (who is logged in there, a working directory) is therefore shared by one person's conversations, and lost when
/// the session is replaced: the version has no way to tell conversations apart.
/// </remarks>
internal sealed class StatelessSessions(SessionTable sessions, ConfigStore config, TimeProvider time, ILogger<StatelessSessions> logger)
{
    /// <summary>One that was asked for something since is not ended for its place: its request may not have begun yet.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Key, Session> _sessions = new();
    private readonly Lock _making = new();

    /// <summary>What requests declare is nearly always what the one before declared; made anew where it is not.</summary>
    private volatile Hashed? _last;

    /// <summary>The session for a request, where there is one; as <see cref="Of"/>.</summary>
    public Session? Find(Person person, string? server, ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo)
    {
        if (!_sessions.TryGetValue(KeyOf(person, server, capabilities, clientInfo), out var session) || session.IsEnded)
        {
            return null;
        }

        session.Seen();
        return session;
    }

    /// <summary>
    /// The session for a request; null where its person has as many as one may have, or the gateway has, and all of them are in use.
    /// </summary>
    /// <param name="person">Whose request it is. Tokens of one person that differ in groups or roles have sessions of their own: they may not be shown the same.</param>
    /// <param name="server">The server of a single-server route; null on the merged one.</param>
    /// <param name="capabilities">What the request declares, raw JSON.</param>
    /// <param name="clientInfo">Who the client says it is, raw JSON; empty where it does not say.</param>
    public Session? Of(Person person, string? server, ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo)
    {
        if (Find(person, server, capabilities, clientInfo) is { } known)
        {
            return known;
        }

        var principal = new Principal(person.Issuer, person.Subject);
        var key = KeyOf(person, server, capabilities, clientInfo);
        lock (_making)
        {
            if (_sessions.TryGetValue(key, out var session) && !session.IsEnded)
            {
                return session;
            }

            Sweep();
            var limits = config.Current.Limits;
            if (_sessions.Keys.Count(k => k.Principal == principal) >= limits.SessionsFor(principal == Principal.Anonymous) && !TryEndUnused(k => k.Principal == principal))
            {
                return null;
            }

            // What a server keeps for somebody else is not given up for this one.
            if (sessions.Count >= limits.Sessions && !TryEndUnused(k => k.Principal == principal) && !TryEndUnused(k => !_sessions[k].Links.HoldState))
            {
                return null;
            }

            session = sessions.AddStateless(NewRecord(principal, server, capabilities, clientInfo));
            session.Person = person;
            _sessions[key] = session;
            return session;
        }
    }

    /// <summary>Ends, of those that nobody uses just now, the one that was not used for the longest time.</summary>
    /// <returns>Whether there was one.</returns>
    private bool TryEndUnused(Func<Key, bool> which)
    {
        var now = time.GetTimestamp();
        var unused = _sessions.Where(one => which(one.Key) && one.Value.IdleFor(now) >= Settled).ToList();
        if (unused.Count == 0)
        {
            return false;
        }

        var (key, oldest) = unused.MaxBy(one => one.Value.IdleFor(now));
        _sessions.TryRemove(key, out _);
        sessions.EndAsync(oldest, StreamReason.Limit).Unawaited(logger);
        return true;
    }

    /// <summary>Of what the client is and can do: the same for the same, however it is written.</summary>
    private string HashOf(ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo)
    {
        if (_last is { } last && capabilities.SequenceEqual(last.Capabilities) && clientInfo.SequenceEqual(last.ClientInfo))
        {
            return last.Hash;
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, ClientCapabilities.Canonical(capabilities) is { } canonical ? Encoding.ASCII.GetBytes(canonical) : capabilities);
        foreach (var word in (string?[])[JsonFields.String(clientInfo, "name"u8), JsonFields.String(clientInfo, "version"u8)])
        {
            Append(hash, Encoding.UTF8.GetBytes(word ?? ""));
        }

        var text = Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
        _last = new Hashed(capabilities.ToArray(), clientInfo.ToArray(), text);
        return text;
    }

    /// <summary>With its length, so that no two sequences of parts are one.</summary>
    private static void Append(IncrementalHash hash, ReadOnlySpan<byte> part)
    {
        hash.AppendData(BitConverter.GetBytes(part.Length));
        hash.AppendData(part);
    }

    private void Sweep()
    {
        foreach (var (key, session) in _sessions)
        {
            if (session.IsEnded)
            {
                _sessions.TryRemove(key, out _);
            }
        }
    }

    private SessionRecord NewRecord(Principal principal, string? server, ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo)
    {
        var info = clientInfo.IsEmpty ? Encoding.ASCII.GetBytes($"{{\"name\":\"mooring\",\"version\":\"{MooringVersion.Current}\"}}") : clientInfo;
        var now = time.GetUtcNow();
        return new SessionRecord
        {
            Id = Session.NewId(),
            Issuer = principal.Issuer,
            Subject = principal.Subject,
            Server = server,
            Transport = "http",
            Version = ProtocolVersions.Stateless,
            InitializeParams = (byte[])
            [
                .. "{\"protocolVersion\":"u8, .. JsonText.Quote(ProtocolVersions.Latest.ToWire()), .. ",\"capabilities\":"u8, .. capabilities,
                .. ",\"clientInfo\":"u8, .. info, (byte)'}',
            ],
            Initialized = true,
            Created = now,
            LastSeen = now,
        };
    }

    private Key KeyOf(Person person, string? server, ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo) =>
        new(new Principal(person.Issuer, person.Subject), person.Standing, server, HashOf(capabilities, clientInfo));

    private sealed record Hashed(byte[] Capabilities, byte[] ClientInfo, string Hash);

    /// <param name="Principal">Whose.</param>
    /// <param name="Standing">With which groups and roles.</param>
    /// <param name="Server">On which route.</param>
    /// <param name="Client">A hash of what its client is and can do.</param>
    private readonly record struct Key(Principal Principal, string Standing, string? Server, string Client);
}
