using System.Runtime.InteropServices;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <summary>
/// Places for streams that clients keep open (<c>limits.streamsPerUser</c>, <c>limits.allStreams</c>). Replicas on a store that they share say there how
/// many each has, and count those of the others that live; where the store cannot be asked, each counts its own.
/// </summary>
/// <remarks>
/// Whoever takes a place says so and asks in one. That one was given back is said with the next look, many at once. The store may lose what was said
/// (when its server crashes), so all of it is said again from time to time, and at once by a replica that got another name.
/// </remarks>
internal sealed partial class StreamPlaces(TimeProvider time, ConfigStore config, Peers peers, PermitSource permits, ILogger<StreamPlaces> logger) : IHeartbeatHandler
{
    /// <summary>Stands for everybody in the store; a user's key is longer.</summary>
    private const string AllKey = "all";

    /// <summary>What is said at once.</summary>
    private const int Page = 1000;

    /// <summary>When it is worth to come back where there are enough streams here.</summary>
    private const int FullSeconds = 30;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan AgainEvery = TimeSpan.FromMinutes(5);

    private readonly StorePatience _patience = new(time);
    private readonly Lock _gate = new();
    private readonly Dictionary<Principal, int> _own = [];
    private readonly HashSet<Principal> _unsaid = [];
    private int _all;
    private bool _allUnsaid;
    private long _stamp;
    private string? _saidAs;
    private long _nextLook;
    private long _nextAgain;
    private int _saying;

    private bool IsShared => permits.Store is not null && peers.IsShared;

    /// <summary>Takes a place; <see cref="GiveBack"/> returns it.</summary>
    /// <returns>Null when it is taken, else which limit is reached.</returns>
    public async ValueTask<PlaceRefusal?> TakeAsync(Principal principal)
    {
        var limits = config.Current.Limits;
        var (ofUser, ofAll) = (OfUser(limits, principal), OfAll(limits));
        List<StreamShare> shares;
        long stamp;
        lock (_gate)
        {
            var own = _own.GetValueOrDefault(principal) + 1;
            if (own > ofUser || _all >= ofAll)
            {
                return own > ofUser ? RefusalOfUser(ofUser, FullSeconds) : RefusalOfAll(ofAll, FullSeconds);
            }

            _all++;
            _own[principal] = own;
            if (!IsShared)
            {
                return null;
            }

            if (_patience.IsAlone(time.GetTimestamp()))
            {
                NoteLocked(principal);
                return null;
            }

            shares = SharesLocked([principal], limits);
            stamp = ++_stamp;
        }

        if (shares.Count == 0)
        {
            return null;
        }

        if (await AskAsync(stamp, shares) is not { } others)
        {
            lock (_gate)
            {
                NoteLocked(principal);
            }

            return null;
        }

        for (var i = 0; i < shares.Count; i++)
        {
            var isAll = shares[i].Key == AllKey;
            if (shares[i].Streams + others[i] > (isAll ? ofAll : ofUser))
            {
                GiveBack(principal);
                // One of the others may be dead, and counts until its lease is over: so soon it is worth to come back.
                var seconds = (int)Peers.Lease.TotalSeconds;
                return isAll ? RefusalOfAll(ofAll, seconds) : RefusalOfUser(ofUser, seconds);
            }
        }

        return null;
    }

    public void GiveBack(Principal principal)
    {
        lock (_gate)
        {
            _all--;
            if (--CollectionsMarshal.GetValueRefOrAddDefault(_own, principal, out _) == 0)
            {
                _own.Remove(principal);
            }

            if (IsShared)
            {
                NoteLocked(principal);
            }
        }
    }

    public void OnHeartbeat(long now)
    {
        if (!IsShared || now < _nextLook)
        {
            return;
        }

        _nextLook = now + Ticks(LookEvery);
        if (_patience.IsAlone(now) || Interlocked.Exchange(ref _saying, 1) == 1)
        {
            return;
        }

        List<Principal> whose;
        bool isAll;
        lock (_gate)
        {
            if (_saidAs != peers.Name || now >= _nextAgain)
            {
                _saidAs = peers.Name;
                _nextAgain = now + Ticks(AgainEvery);
                _unsaid.UnionWith(_own.Keys);
                _allUnsaid = true;
            }

            (whose, isAll) = ([.. _unsaid], _allUnsaid);
            _unsaid.Clear();
            _allUnsaid = false;
        }

        SayAsync(whose, isAll).Unawaited(logger);
    }

    private static int OfUser(LimitsConfig limits, Principal principal) => limits.StreamsFor(principal == Principal.Anonymous);

    private static int OfAll(LimitsConfig limits) => limits.AllStreams == 0 ? int.MaxValue : limits.AllStreams;

    private static PlaceRefusal RefusalOfUser(int limit, int seconds) => new($"This user has {limit} streams open (limits.streamsPerUser).", seconds);

    private static PlaceRefusal RefusalOfAll(int limit, int seconds) => new($"All users together have {limit} streams open (limits.allStreams).", seconds);

    private async Task SayAsync(List<Principal> whose, bool isAll)
    {
        try
        {
            var limits = config.Current.Limits;
            for (var at = 0; at < whose.Count || isAll; at += Page)
            {
                var page = whose[Math.Min(at, whose.Count)..Math.Min(at + Page, whose.Count)];
                List<StreamShare> shares;
                long stamp;
                lock (_gate)
                {
                    shares = SharesLocked(page, isAll ? limits : limits with { AllStreams = 0 });
                    stamp = ++_stamp;
                }

                if (shares.Count > 0 && await AskAsync(stamp, shares) is null)
                {
                    lock (_gate)
                    {
                        _unsaid.UnionWith(whose[Math.Min(at, whose.Count)..]);
                        _allUnsaid |= isAll;
                    }

                    return;
                }

                isAll = false;
            }
        }
        finally
        {
            Volatile.Write(ref _saying, 0);
        }
    }

    /// <summary>What has to be said of some users, and of all: no more than limits ask for.</summary>
    private List<StreamShare> SharesLocked(List<Principal> whose, LimitsConfig limits)
    {
        var shares = new List<StreamShare>(whose.Count + 1);
        shares.AddRange(whose.Where(principal => OfUser(limits, principal) < int.MaxValue)
            .Select(principal => new StreamShare(principal.Hash(), _own.GetValueOrDefault(principal))));
        if (limits.AllStreams > 0)
        {
            shares.Add(new StreamShare(AllKey, _all));
        }

        return shares;
    }

    private void NoteLocked(Principal principal)
    {
        _unsaid.Add(principal);
        _allUnsaid = true;
    }

    /// <returns>How many the others have of each; null where the store cannot be asked.</returns>
    private async Task<IReadOnlyList<long>?> AskAsync(long stamp, List<StreamShare> shares)
    {
        try
        {
            // What comes late is said all the same.
            return await permits.Store!.ShareStreamsAsync(peers.Name, stamp, shares).WaitAsync(StorePatience.LongestWait, time);
        }
        catch (Exception e) when (e is StoreException or TimeoutException)
        {
            if (_patience.GoAlone())
            {
                Log.Alone(logger, e is StoreException ? e.Message : $"there was no answer within {StorePatience.LongestWait.TotalMilliseconds:0} ms.");
            }

            return null;
        }
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private static partial class Log
    {
        [LoggerMessage(523, LogLevel.Warning, "The store cannot be asked how many streams other replicas have open; each counts its own meanwhile: {Reason}", EventName = "StreamsCountedAlone")]
        public static partial void Alone(ILogger logger, string reason);
    }
}

/// <summary>A limit that is reached.</summary>
/// <param name="Why">Which, for the client.</param>
/// <param name="Seconds">When it is worth to come back.</param>
internal readonly record struct PlaceRefusal(string Why, int Seconds);
