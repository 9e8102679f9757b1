using System.Security.Cryptography;
using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>
/// Calls whose servers asked their client something, while the client gathers the answers (2026-07-28, basic/patterns/mrtr): the server goes on
/// waiting, the client has an answer with the questions and a reference to bring back. The reference says nothing to anyone but this process; it
/// is 128 random bits, works for who got it, on the same request, once, and not for long. Bounded per user and in all.
/// </summary>
internal sealed class ParkedCalls(ConfigStore config, TimeProvider time) : IHeartbeatHandler
{
    /// <summary>Tells the gateway's own references from those of servers of the same version, which pass.</summary>
    private const string Prefix = "mooring-";

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Parked> _parked = new(StringComparer.Ordinal);
    private readonly Dictionary<Principal, int> _perUser = [];
    private List<StatelessReply>? _asking;

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
    public static bool IsOurs(string reference) => reference.StartsWith(Prefix, StringComparison.Ordinal);

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

            var reference = Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
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

        foreach (var reply in asking ?? [])
        {
            reply.Ask();
        }

        foreach (var (_, parked) in expired ?? [])
        {
            _ = parked.Reply?.ExpireAsync();
        }
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
