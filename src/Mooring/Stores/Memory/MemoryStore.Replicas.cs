namespace Mooring.Stores.Memory;

/// <content>Replicas, their leases, mailboxes and homes.</content>
internal sealed partial class MemoryStore
{
    private static readonly TimeSpan KeysKept = TimeSpan.FromMinutes(5);

    private readonly SortedDictionary<string, Replica> _replicas = new(StringComparer.Ordinal);

    public Task<bool> BeatAsync(string replica, string info, TimeSpan lease)
    {
        lock (_gate)
        {
            if (!_replicas.TryGetValue(replica, out var known))
            {
                _replicas.Add(replica, known = new Replica());
            }

            if (known.TakenBy is not null)
            {
                return Task.FromResult(false);
            }

            known.Info = info;
            known.Expires = time.GetUtcNow() + lease;
            return Task.FromResult(true);
        }
    }

    public Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            return Task.FromResult<IReadOnlyList<ReplicaRecord>>(
                [.. _replicas.Where(r => r.Value.TakenBy is null).Select(r => new ReplicaRecord(r.Key, r.Value.Info, r.Value.Expires <= now))]);
        }
    }

    public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica)
    {
        lock (_gate)
        {
            if (deadReplica == byReplica || !_replicas.TryGetValue(deadReplica, out var dead)
                || !_replicas.TryGetValue(byReplica, out var winner) || winner.TakenBy is not null
                || (dead.TakenBy is null ? dead.Expires > time.GetUtcNow() : dead.TakenBy != byReplica))
            {
                return Task.FromResult(false);
            }

            foreach (var taken in _replicas.Values.Where(r => r.TakenBy == deadReplica))
            {
                taken.TakenBy = byReplica;
            }

            dead.TakenBy = byReplica;
            foreach (var mail in dead.Mailbox.Where(mail => mail.Acknowledged is null))
            {
                winner.Post(mail.Record.Kind, mail.Record.CallId, mail.Record.Body);
            }

            dead.Mailbox.Clear();
            ReleaseHomesLocked(deadReplica);
            return Task.FromResult(true);
        }
    }

    public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<string>>([.. _replicas.Where(r => r.Value.TakenBy == byReplica).Select(r => r.Key)]);
        }
    }

    public Task<bool> RemoveReplicaAsync(string replica)
    {
        lock (_gate)
        {
            if (_replicas.TryGetValue(replica, out var known) && known.Mailbox.Exists(mail => mail.Acknowledged is null))
            {
                return Task.FromResult(false);
            }

            _replicas.Remove(replica);
            ReleaseHomesLocked(replica);
            return Task.FromResult(true);
        }
    }

    public Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body)
    {
        lock (_gate)
        {
            var to = _replicas.GetValueOrDefault(toReplica);
            if (to?.TakenBy is { } winner)
            {
                to = _replicas.GetValueOrDefault(winner);
            }

            return Task.FromResult(to?.Post(kind, callId, body.ToArray()));
        }
    }

    public Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<MailRecord>>(
                _replicas.TryGetValue(replica, out var known)
                    ? [.. known.Mailbox.Where(mail => mail.Acknowledged is null && mail.Record.Sequence > after).Take(limit).Select(mail => mail.Record)]
                    : []);
        }
    }

    public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null)
    {
        lock (_gate)
        {
            return Task.FromResult(_replicas.TryGetValue(replica, out var known) && known.Acknowledge(upTo, except ?? [], time.GetUtcNow()));
        }
    }

    public Task<string> ClaimHomeAsync(string sessionId, string server, string replica)
    {
        lock (_gate)
        {
            if (!_sessions.TryGetValue(sessionId, out var session))
            {
                return Task.FromResult(replica);
            }

            if (!session.Homes.TryGetValue(server, out var holder) || !HoldsLocked(holder))
            {
                session.Homes[server] = holder = replica;
            }

            return Task.FromResult(holder);
        }
    }

    public Task ReleaseHomeAsync(string sessionId, string server, string replica) => With(sessionId, session =>
    {
        if (session.Homes.GetValueOrDefault(server) == replica)
        {
            session.Homes.Remove(server);
        }
    });

    private bool HoldsLocked(string replica) => _replicas.TryGetValue(replica, out var known) && known.TakenBy is null;

    private void ReleaseHomesLocked(string replica)
    {
        foreach (var session in _sessions.Values)
        {
            foreach (var home in session.Homes.Where(home => home.Value == replica).ToList())
            {
                session.Homes.Remove(home.Key);
            }
        }
    }

    /// <summary>One replica. Guarded by the store's gate.</summary>
    private sealed class Replica
    {
        private long _last;

        public string Info { get; set; } = "";

        public DateTimeOffset Expires { get; set; }

        public string? TakenBy { get; set; }

        public List<(MailRecord Record, DateTimeOffset? Acknowledged)> Mailbox { get; } = [];

        public long? Post(string kind, string callId, ReadOnlyMemory<byte> body)
        {
            foreach (var (known, _) in Mailbox)
            {
                if (known.Kind == kind && known.CallId == callId)
                {
                    return known.Sequence;
                }
            }

            Mailbox.Add((new MailRecord(++_last, kind, callId, body), null));
            return _last;
        }

        public bool Acknowledge(long upTo, IReadOnlyList<long> except, DateTimeOffset now)
        {
            Mailbox.RemoveAll(mail => mail.Acknowledged < now - KeysKept);
            for (var i = 0; i < Mailbox.Count; i++)
            {
                if (Mailbox[i] is { Acknowledged: null } mail && mail.Record.Sequence <= upTo && !except.Contains(mail.Record.Sequence))
                {
                    Mailbox[i] = (mail.Record with { Body = default }, now);
                }
            }

            return Mailbox.Exists(mail => mail.Record.Sequence == upTo);
        }
    }
}
