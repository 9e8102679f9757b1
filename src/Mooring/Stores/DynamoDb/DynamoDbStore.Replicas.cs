using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Replicas, their leases and homes. Time is the service's.</content>
internal sealed partial class DynamoDbStore
{
    /// <summary>Long enough for every late message and every late beat of a process that only slept.</summary>
    private static readonly TimeSpan DeadKept = TimeSpan.FromDays(1);

    public Task<bool> BeatAsync(string replica, string info, TimeSpan lease)
    {
        var write = new DynamoWrite(DynamoKeys.Replica(replica)).Set("info", Text(info)).Set("until", Time(_table.Now + lease));
        write.SetRaw($"{write.N("last")} = if_not_exists({write.N("last")}, {write.V(Number(0))})");
        write.SetRaw($"{write.N("acks")} = if_not_exists({write.N("acks")}, {write.V(Number(0))})");
        write.SetRaw($"{write.N("born")} = if_not_exists({write.N("born")}, {write.V(Text(NewToken()))})");
        foreach (var map in new[] { "box", "taking" })
        {
            write.SetRaw($"{write.N(map)} = if_not_exists({write.N(map)}, {write.V(Map([]))})");
        }

        return _table.WriteAsync(write.When($"attribute_not_exists({write.N("takenBy")})"));
    }

    public async Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel)
    {
        var now = _table.Now;
        return [.. (await ReplicasAsync(cancel)).Where(item => !item.ContainsKey("takenBy"))
            .Select(item => new ReplicaRecord(item.Text(DynamoKeys.Sort), item.Text("info"), item.Time("until") <= now))];
    }

    /// <summary>
    /// The winner notes what it is about to take, unless it was taken itself; then the dead one is marked, which decides; then what it had is moved.
    /// A winner that stops in between finds the note when it reads its mailbox, and whoever takes it over takes the note along.
    /// </summary>
    public async Task<bool> TryTakeOverAsync(string deadReplica, string byReplica)
    {
        if (deadReplica == byReplica || await _table.GetAsync(DynamoKeys.Replica(deadReplica), CancellationToken.None) is not { } dead
            || (dead.TextOrNull("takenBy") is { } taker ? taker != byReplica : dead.Time("until") > _table.Now)
            || !await NoteAsync(byReplica, deadReplica))
        {
            return false;
        }

        var mark = new DynamoWrite(DynamoKeys.Replica(deadReplica)).Set("takenBy", Text(byReplica));
        var (takenBy, by) = (mark.N("takenBy"), mark.V(Text(byReplica)));
        mark.When($"(attribute_not_exists({takenBy}) AND {mark.N("until")} <= {mark.V(Time(_table.Now))}) OR {takenBy} = {by}");
        if (!await _table.WriteAsync(mark))
        {
            await ForgetNoteAsync(byReplica, deadReplica);
            return false;
        }

        await FinishTakingAsync(byReplica);
        foreach (var item in (await ReplicasAsync(CancellationToken.None)).Where(item => item.ContainsKey("takenBy") && item.Time("until") < _table.Now - DeadKept && item.Map("box").Count == 0))
        {
            await _table.DeleteAsync(DynamoKeys.Of(item));
        }

        return true;
    }

    public async Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel)
    {
        var takers = (await ReplicasAsync(cancel)).ToDictionary(item => item.Text(DynamoKeys.Sort), item => item.TextOrNull("takenBy"), StringComparer.Ordinal);
        return [.. takers.Keys.Where(name => takers[name] is not null && LastOf(name) == byReplica)];

        string LastOf(string name)
        {
            for (var moves = 0; moves < takers.Count && takers.GetValueOrDefault(name) is { } next; moves++)
            {
                name = next;
            }

            return name;
        }
    }

    public async Task<bool> RemoveReplicaAsync(string replica)
    {
        while (true)
        {
            if (await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None) is not { } item)
            {
                return true;
            }

            if (item.Map("taking").Count > 0)
            {
                await FinishTakingAsync(replica);
                item = await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None) ?? item;
            }

            if (item.Map("box").Count > 0)
            {
                return false;
            }

            // Whatever was posted since then counts up.
            var delete = new DynamoWrite(DynamoKeys.Replica(replica));
            if ((await _table.DeleteAsync(delete.When($"{delete.N("last")} = {delete.V(Number(item.Number("last")))}"))).Done)
            {
                return true;
            }
        }
    }

    /// <remarks>A home names its holder and when that was born, so that a name that comes back holds nothing of what it held before.</remarks>
    public async Task<string> ClaimHomeAsync(string sessionId, string server, string replica)
    {
        while (true)
        {
            if (await HeadAsync(sessionId) is not { } head)
            {
                return replica;
            }

            var home = head.Map("homes").Map(server);
            var holder = home.TextOrNull("r");
            if (holder is not null && (holder == replica ? await IsSameAsync(home) : await HoldsAsync(home)))
            {
                return holder;
            }

            var born = (await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None))?.TextOrNull("born");
            var write = new DynamoWrite(DynamoKeys.Session(sessionId));
            var path = write.N("homes", server);
            write.SetRaw($"{path} = {write.V(Map(new Dictionary<string, AttributeValue>(StringComparer.Ordinal).With("r", Text(replica)).With("b", TextOrNull(born))))}")
                .When($"{write.N("inc")} = {write.V(Text(head.Text("inc")))}")
                .When(holder is null ? $"attribute_not_exists({path})" : $"{write.N("homes", server, "r")} = {write.V(Text(holder))}");
            if (holder is not null)
            {
                var birth = write.N("homes", server, "b");
                write.When(home.TextOrNull("b") is { } was ? $"{birth} = {write.V(Text(was))}" : $"attribute_not_exists({birth})");
            }

            if (await _table.WriteAsync(write))
            {
                return replica;
            }
        }
    }

    public Task ReleaseHomeAsync(string sessionId, string server, string replica)
    {
        var write = new DynamoWrite(DynamoKeys.Session(sessionId));
        return _table.WriteAsync(write.Remove(write.N("homes", server)).When($"{write.N("homes", server, "r")} = {write.V(Text(replica))}"));
    }

    private Task<List<Dictionary<string, AttributeValue>>> ReplicasAsync(CancellationToken cancel) =>
        _table.QueryAsync(new DynamoQuery(DynamoKeys.ReplicaPartition), cancel);

    /// <summary>Whether its holder lives, or may: it is known, and nobody has taken it over.</summary>
    private async Task<bool> HoldsAsync(Dictionary<string, AttributeValue> home) =>
        await _table.GetAsync(DynamoKeys.Replica(home.Text("r")), CancellationToken.None) is { } item && !item.ContainsKey("takenBy")
            && (home.TextOrNull("b") is not { } born || item.Text("born") == born);

    /// <summary>Whether it is of this life of its holder, who asks.</summary>
    private async Task<bool> IsSameAsync(Dictionary<string, AttributeValue> home) =>
        (await _table.GetAsync(DynamoKeys.Replica(home.Text("r")), CancellationToken.None))?.TextOrNull("born") == home.TextOrNull("b");

    private Task<bool> NoteAsync(string replica, string dead)
    {
        var write = new DynamoWrite(DynamoKeys.Replica(replica)).WhenThere();
        return _table.WriteAsync(write.SetRaw($"{write.N("taking", dead)} = {write.V(Flag(true))}").When($"attribute_not_exists({write.N("takenBy")})"));
    }

    private Task ForgetNoteAsync(string replica, string dead)
    {
        var write = new DynamoWrite(DynamoKeys.Replica(replica)).WhenThere();
        return _table.WriteAsync(write.Remove(write.N("taking", dead)));
    }

    /// <summary>Moves what this replica has noted, and what those had noted. May be done again and again.</summary>
    private Task FinishTakingAsync(string replica) => _lanes.RunAsync("taking " + replica, async () =>
    {
        var done = new HashSet<string>(StringComparer.Ordinal);
        while (await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None) is { } item && !item.ContainsKey("takenBy")
            && item.Map("taking").Keys.FirstOrDefault(name => !done.Contains(name)) is { } dead)
        {
            done.Add(dead);
            await FinishTakingAsync(replica, dead);
        }
    });

    private async Task FinishTakingAsync(string replica, string dead)
    {
        var item = await _table.GetAsync(DynamoKeys.Replica(dead), CancellationToken.None);
        if (item is not null && !item.ContainsKey("takenBy"))
        {
            // Not decided yet.
            return;
        }

        if (item is not null && item.Text("takenBy") != replica)
        {
            // Perhaps one whose own taker was taken over by this one before it could see to it.
            var taker = await _table.GetAsync(DynamoKeys.Replica(item.Text("takenBy")), CancellationToken.None);
            item = taker?.TextOrNull("takenBy") == replica && await PassAsync(dead, item.Text("takenBy"), replica) ? item : null;
        }

        if (item is not null)
        {
            var behind = (await ReplicasAsync(CancellationToken.None)).Where(other => other.TextOrNull("takenBy") == dead).Select(other => other.Text(DynamoKeys.Sort));
            foreach (var other in behind.Concat(item.Map("taking").Keys).Distinct(StringComparer.Ordinal).ToList())
            {
                if (other == replica || !await NoteAsync(replica, other))
                {
                    continue;
                }

                await PassAsync(other, dead, replica);
            }

            if (!await MoveMailAsync(item, replica))
            {
                return;
            }
        }

        await ForgetNoteAsync(replica, dead);
    }

    /// <summary>From one that has taken it to who has taken that one: one step from any dead name to who answers for it now.</summary>
    private Task<bool> PassAsync(string dead, string from, string to)
    {
        var write = new DynamoWrite(DynamoKeys.Replica(dead)).Set("takenBy", Text(to));
        return _table.WriteAsync(write.When($"{write.N("takenBy")} = {write.V(Text(from))}"));
    }
}
