using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Sessions;

/// <summary>
/// Sessions that stand for clients without any (2026-07-28): servers that have sessions need one, lists depend on what a client can do, and calls
/// belong to somebody. One for each person (with the groups and roles of its token), route and set of declared capabilities, shared by all requests that agree in these; made by the first,
/// ended by <see cref="SessionSweeper"/> when nothing was asked for a while. Their ids never leave the process and no store has them.
/// </summary>
/// <remarks>
/// What a server keeps per session (who is logged in there, a working directory) is therefore shared by one person's conversations, and lost when
/// the session is replaced: the version has no way to tell conversations apart.
/// </remarks>
internal sealed class StatelessSessions(SessionTable sessions, ConfigStore config, TimeProvider time)
{
    private readonly ConcurrentDictionary<Key, Session> _sessions = new();
    private readonly Lock _making = new();

    /// <summary>What requests declare is nearly always what the one before declared; made anew where it is not.</summary>
    private volatile Hashed? _last;

    /// <summary>The session for a request, where there is one; as <see cref="Of"/>.</summary>
    public Session? Find(Person person, string? server, ReadOnlySpan<byte> capabilities)
    {
        if (!_sessions.TryGetValue(KeyOf(person, server, capabilities), out var session) || session.IsEnded)
        {
            return null;
        }

        session.Seen();
        return session;
    }

    /// <summary>The session for a request; null where its person has as many as one may have, or the gateway has.</summary>
    /// <param name="person">Whose request it is. Tokens of one person that differ in groups or roles have sessions of their own: they may not be shown the same.</param>
    /// <param name="server">The server of a single-server route; null on the merged one.</param>
    /// <param name="capabilities">What the request declares, raw JSON.</param>
    /// <param name="clientInfo">Who the client says it is, raw JSON; empty where it does not say.</param>
    public Session? Of(Person person, string? server, ReadOnlySpan<byte> capabilities, ReadOnlySpan<byte> clientInfo)
    {
        if (Find(person, server, capabilities) is { } known)
        {
            return known;
        }

        var principal = new Principal(person.Issuer, person.Subject);
        var key = KeyOf(person, server, capabilities);
        lock (_making)
        {
            if (_sessions.TryGetValue(key, out var session) && !session.IsEnded)
            {
                return session;
            }

            Sweep();
            var limits = config.Current.Limits;
            if (sessions.Count >= limits.Sessions || _sessions.Keys.Count(k => k.Principal == principal) >= limits.SessionsFor(principal == Principal.Anonymous))
            {
                return null;
            }

            session = sessions.AddStateless(NewRecord(principal, server, capabilities, clientInfo));
            session.Person = person;
            _sessions[key] = session;
            return session;
        }
    }

    private string HashOf(ReadOnlySpan<byte> capabilities)
    {
        if (_last is { } last && capabilities.SequenceEqual(last.Capabilities))
        {
            return last.Hash;
        }

        var hash = Convert.ToHexStringLower(SHA256.HashData(capabilities).AsSpan(0, 16));
        _last = new Hashed(capabilities.ToArray(), hash);
        return hash;
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

    private Key KeyOf(Person person, string? server, ReadOnlySpan<byte> capabilities) =>
        new(new Principal(person.Issuer, person.Subject), person.Standing, server, HashOf(capabilities));

    private sealed record Hashed(byte[] Capabilities, string Hash);

    private readonly record struct Key(Principal Principal, string Standing, string? Server, string Capabilities);
}
