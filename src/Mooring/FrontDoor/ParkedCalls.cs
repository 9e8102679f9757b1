using System.Buffers;
using System.Security.Cryptography;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <summary>
/// Calls whose servers asked their client something, while the client gathers the answers (2026-07-28, basic/patterns/mrtr): the server goes on
/// waiting, the client has an answer with the questions and a reference to bring back. The reference names the process that holds the call, so that
/// a retry finds it from any replica (<see cref="PassedRetries"/>), and beyond that says nothing to anyone: it has 128 random bits, works for who got
/// it, on the same request, once, and not for long. Bounded per user and in all.
/// </summary>
internal sealed class ParkedCalls(ConfigStore config, Peers peers, TimeProvider time, ILogger<ParkedCalls> logger) : IHeartbeatHandler
{
    /// <summary>Tells the gateway's own references from those of servers of the same version, which pass.</summary>
    private const string Prefix = "mooring-";

    /// <summary>
    /// Put before a reference of a server that looks like one of these, as that of a Mooring behind this one does, and taken off the retry that brings it back.
    /// Nothing is to be remembered for it, so any replica can; and it may stand there several times, once for each gateway on the way.
    /// </summary>
    private const string TheirMark = Prefix + "passed-";

    /// <summary>Hexadecimal digits of the holder's name, and of the secret.</summary>
    private const int NameLength = 16;

    private const int SecretLength = 32;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Parked> _parked = new(StringComparer.Ordinal);
    private readonly Dictionary<Principal, int> _perUser = [];
    private List<StatelessReply>? _asking;

    /// <summary>For what the calls do by themselves.</summary>
    public ILogger Logger => logger;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _parked.Count;
            }
        }
    }

    /// <summary>Has a reply ask with the next beat: what its server asks until then goes out together.</summary>
    public void AskSoon(StatelessReply reply)
    {
        lock (_gate)
        {
            (_asking ??= []).Add(reply);
        }
    }

    /// <summary>Whether a reference may be one of these.</summary>
    public static bool IsOurs(string reference) =>
        reference.StartsWith(Prefix, StringComparison.Ordinal) && !reference.StartsWith(TheirMark, StringComparison.Ordinal);

    /// <summary>A server's reference as its client is given it; null where that is as it is.</summary>
    public static string? Marked(string theirs) => theirs.StartsWith(Prefix, StringComparison.Ordinal) ? TheirMark + theirs : null;

    /// <summary>The server's reference that a client brings back; null where it is as it came.</summary>
    public static string? Unmarked(string brought) => brought.StartsWith(TheirMark, StringComparison.Ordinal) ? brought[TheirMark.Length..] : null;

    /// <summary>The process that gave a reference out, by the name that it had; null where it is not of the form of these.</summary>
    public static string? HolderOf(string reference)
    {
        var rest = IsOurs(reference) ? reference.AsSpan(Prefix.Length) : default;
        return rest.Length == NameLength + 1 + SecretLength && rest[NameLength] == '-' && IsHex(rest[..NameLength]) && IsHex(rest[(NameLength + 1)..])
            ? rest[..NameLength].ToString()
            : null;

        static bool IsHex(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(HexDigits);
    }

    /// <summary>Keeps a call for the one retry that brings the reference; null where there are too many.</summary>
    /// <param name="reply">The call's; null where the retry is to be run anew.</param>
    /// <param name="key">What the retry has to agree in.</param>
    public string? Park(StatelessReply? reply, RetryKey key)
    {
        var limits = config.Current.Limits;
        lock (_gate)
        {
            var ofUser = _perUser.GetValueOrDefault(key.Principal);
            if (_parked.Count >= limits.WaitingCalls || ofUser >= limits.WaitingCallsFor(key.Principal == Principal.Anonymous))
            {
                return null;
            }

            var reference = $"{Prefix}{peers.Name}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretLength / 2))}";
            _parked.Add(reference, new Parked(reply, key, time.GetTimestamp() + (long)(config.Current.Calls.InputWait.TotalSeconds * time.TimestampFrequency)));
            _perUser[key.Principal] = ofUser + 1;
            return reference;
        }
    }

    /// <summary>Takes what a reference stands for, if this is the retry that it was given for; it is used with that.</summary>
    /// <param name="reference">What the client brought.</param>
    /// <param name="key">Of its request.</param>
    /// <param name="reply">The call's; null where the retry is to be run anew.</param>
    public bool TryTake(string reference, RetryKey key, out StatelessReply? reply)
    {
        lock (_gate)
        {
            // A wrong retry does not cost the right one its call.
            if (!_parked.TryGetValue(reference, out var parked) || parked.Key != key || time.GetTimestamp() >= parked.Expires)
            {
                reply = null;
                return false;
            }

            RemoveLocked(reference, parked);
            reply = parked.Reply;
            return true;
        }
    }

    /// <summary>Nobody has the reference.</summary>
    public void Drop(string reference)
    {
        lock (_gate)
        {
            if (_parked.TryGetValue(reference, out var parked))
            {
                RemoveLocked(reference, parked);
            }
        }
    }

    public void OnHeartbeat(long now)
    {
        List<StatelessReply>? asking;
        List<KeyValuePair<string, Parked>>? expired = null;
        lock (_gate)
        {
            (asking, _asking) = (_asking, null);
            foreach (var entry in _parked)
            {
                if (now >= entry.Value.Expires)
                {
                    (expired ??= []).Add(entry);
                }
            }

            foreach (var (reference, parked) in expired ?? [])
            {
                RemoveLocked(reference, parked);
            }
        }

        foreach (var (_, parked) in expired ?? [])
        {
            parked.Reply?.ExpireAsync().Unawaited(logger);
        }

        HeartbeatItems.Each(asking ?? [], static reply => reply.Ask());
    }

    private void RemoveLocked(string reference, Parked parked)
    {
        _parked.Remove(reference);
        var user = parked.Key.Principal;
        if (_perUser[user] == 1)
        {
            _perUser.Remove(user);
        }
        else
        {
            _perUser[user]--;
        }
    }

    private sealed record Parked(StatelessReply? Reply, RetryKey Key, long Expires);
}
