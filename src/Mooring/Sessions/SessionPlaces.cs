using System.Collections.Concurrent;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Sessions;

/// <summary>
/// Whether one more session may be made (<c>limits.sessionsPerUser</c>, <c>limits.allSessions</c>), where replicas share a store: that has all of them, of replicas that are gone too.
/// It is asked seldom: each answer lets a part of what is left go by unasked.
/// </summary>
internal sealed partial class SessionPlaces(TimeProvider time, ConfigStore config, PermitSource permits, ILogger<SessionPlaces> logger)
{
    /// <summary>A twentieth of what is left goes by: so many replicas at once come to no more than there may be.</summary>
    private const int Part = 20;

    /// <summary>Then all are forgotten: a few questions more.</summary>
    private const int Most = 10_000;

    /// <summary>How long an answer is good.</summary>
    private static readonly TimeSpan Good = TimeSpan.FromSeconds(30);

    /// <summary>How long it is good that there are enough of all, which takes long to count.</summary>
    private static readonly TimeSpan FullGood = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Principal, Allowance> _ofUsers = new();
    private readonly Allowance _ofAll = new();
    private readonly StorePatience _patience = new(time);

    /// <summary>Whether a user may have one more, as far as the store knows. Where it cannot be asked, yes: what this process has was counted before.</summary>
    public async ValueTask<bool> TakeAsync(Principal principal)
    {
        if (permits.Store is not { } store)
        {
            return true;
        }

        var limits = config.Current.Limits;
        if (limits.SessionsFor(principal == Principal.Anonymous) is var ofUser && ofUser < int.MaxValue
            && !await TakeAsync(AllowanceOf(principal), ofUser, TimeSpan.Zero, () => store.CountSessionsOfAsync(principal.Issuer, principal.Subject, ofUser)))
        {
            return false;
        }

        return limits.AllSessions == 0 || await TakeAsync(_ofAll, limits.AllSessions, FullGood, () => store.CountSessionsUpToAsync(limits.AllSessions));
    }

    private async ValueTask<bool> TakeAsync(Allowance allowance, int limit, TimeSpan fullGood, Func<Task<int>> count)
    {
        while (true)
        {
            Task<bool> asking;
            lock (allowance)
            {
                var now = time.GetTimestamp();
                if (_patience.IsAlone(now))
                {
                    return true;
                }

                if (allowance.Limit == limit && now < allowance.Until)
                {
                    if (allowance.IsFull)
                    {
                        return false;
                    }

                    if (allowance.Left > 0)
                    {
                        allowance.Left--;
                        return true;
                    }
                }

                // One question at a time: those who come meanwhile share what its answer lets by.
                asking = allowance.Asking ??= IsFullAsync(allowance, limit, fullGood, count);
            }

            if (await asking)
            {
                return false;
            }
        }
    }

    /// <returns>Whether the store says that there are as many as there may be.</returns>
    private async Task<bool> IsFullAsync(Allowance allowance, int limit, TimeSpan fullGood, Func<Task<int>> count)
    {
        // Nobody's lock is held from here on.
        await Task.Yield();
        int? there = null;
        try
        {
            there = await count().WaitAsync(StorePatience.LongestWait, time);
        }
        catch (Exception e)
        {
            if (e is not (StoreException or TimeoutException))
            {
                // A bug of ours; whoever comes next must not be answered with it for ever.
                Log.CountFailed(logger, e);
            }

            if (_patience.GoAlone())
            {
                Log.Alone(logger, e is TimeoutException ? $"there was no answer within {StorePatience.LongestWait.TotalMilliseconds:0} ms." : e.Message);
            }
        }

        lock (allowance)
        {
            allowance.Asking = null;
            if (there is not { } sessions)
            {
                return false;
            }

            (allowance.Limit, allowance.IsFull, allowance.Left) = (limit, sessions >= limit, Math.Max(1, (limit - sessions) / Part));
            allowance.Until = time.GetTimestamp() + (long)((allowance.IsFull ? fullGood : Good).TotalSeconds * time.TimestampFrequency);
            return allowance.IsFull;
        }
    }

    private Allowance AllowanceOf(Principal principal)
    {
        if (_ofUsers.TryGetValue(principal, out var known))
        {
            return known;
        }

        if (_ofUsers.Count >= Most)
        {
            _ofUsers.Clear();
        }

        return _ofUsers.GetOrAdd(principal, _ => new Allowance());
    }

    /// <summary>What the store said last of one user, or of all. Guarded by its own lock.</summary>
    private sealed class Allowance
    {
        public int Limit { get; set; }

        public bool IsFull { get; set; }

        /// <summary>How many more go by unasked.</summary>
        public int Left { get; set; }

        public long Until { get; set; }

        public Task<bool>? Asking { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(524, LogLevel.Warning, "The store cannot be asked how many sessions there are; each replica counts its own meanwhile: {Reason}", EventName = "SessionsCountedAlone")]
        public static partial void Alone(ILogger logger, string reason);

        [LoggerMessage(525, LogLevel.Error, "Asking the store how many sessions there are failed.", EventName = "SessionsCountFailed")]
        public static partial void CountFailed(ILogger logger, Exception exception);
    }
}
