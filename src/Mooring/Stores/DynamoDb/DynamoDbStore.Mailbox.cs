using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>
/// Mailboxes. A message is an item of its own, known by its kind and call; the replica's item holds its place: <c>box</c> has the sequence of each
/// that is unread. So posting, taking over and dropping each are one write of that item, and messages appear in the order of their sequences.
/// </content>
internal sealed partial class DynamoDbStore
{
    /// <summary>Replicas may die one after the other while a message looks for who took over; more than this is a mistake.</summary>
    private const int MostMoves = 8;

    /// <summary>Messages dropped in one write: an expression has at most 4 kB.</summary>
    private const int DroppedAtOnce = 50;

    /// <summary>
    /// Whoever takes over has to take what the others had: so many boxes that are full. What is more waits until some of it was read. An item holds 7,000 places.
    /// </summary>
    private const int BoxesMoved = 10;

    /// <summary>How long the key of a message that was read is remembered.</summary>
    private static readonly TimeSpan KeysKept = TimeSpan.FromMinutes(5);

    /// <summary>How long a message may wait; its replica is long dead then.</summary>
    private static readonly TimeSpan MailKept = TimeSpan.FromDays(7);

    private const string MailBody = "body";

    public async Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body)
    {
        Dictionary<string, AttributeValue>? mail = null;
        var (to, hash) = (toReplica, Hash(kind, callId));
        for (var moves = 0; moves < MostMoves; moves++)
        {
            var (sequence, takenBy, isFull) = await PutIntoAsync(to, hash, _options.MostUnread, MakeAsync);
            if (isFull)
            {
                throw new MailboxFullException($"The mailbox of replica {to} is full: it has {_options.MostUnread} letters that it has not read.");
            }

            if (takenBy is null)
            {
                return sequence;
            }

            to = takenBy;
        }

        throw new StoreException($"Replica {toReplica} was taken over {MostMoves} times while a message was on its way to it.");

        // Only where there is room: a large body is dear.
        async Task<Dictionary<string, AttributeValue>> MakeAsync()
        {
            if (mail is null)
            {
                var made = new Dictionary<string, AttributeValue>(StringComparer.Ordinal).With("kind", Text(kind)).With("call", Text(callId));
                await _bodies.AddAsync(made, MailBody, body, _table.Now + MailKept);
                mail = made;
            }

            return mail;
        }
    }

    public async Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel)
    {
        var item = await _table.GetAsync(DynamoKeys.Replica(replica), cancel);
        if (item is not null && item.Map("taking").Count > 0 && !item.ContainsKey("takenBy"))
        {
            await FinishTakingAsync(replica);
            item = await _table.GetAsync(DynamoKeys.Replica(replica), cancel);
        }

        if (item is null || item.ContainsKey("takenBy"))
        {
            return [];
        }

        var places = InOrder(item).Where(place => place.Sequence > after).Take(limit).ToList();
        var mails = await Task.WhenAll(places.Select(place => _table.GetAsync(DynamoKeys.Mail(replica, place.Hash), cancel)));
        var read = new List<MailRecord>();
        for (var i = 0; i < places.Count; i++)
        {
            if (mails[i] is { } mail && await _bodies.ReadAsync(mail, MailBody, cancel) is { } body)
            {
                read.Add(new MailRecord(places[i].Sequence, mail.Text("kind"), mail.Text("call"), body));
            }
        }

        return read;
    }

    /// <remarks>Their keys are marked first: whoever posts one again then finds that it was there, at whatever moment.</remarks>
    public async Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null)
    {
        while (true)
        {
            var item = await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None);
            if (item is null || item.ContainsKey("takenBy"))
            {
                return false;
            }

            var places = InOrder(item).Where(place => place.Sequence <= upTo && except?.Contains(place.Sequence) != true).Take(DroppedAtOnce).ToList();
            if (places.Count == 0)
            {
                // Every sequence up to the last was a message of this mailbox, and nobody has taken it.
                return upTo >= 1 && upTo <= item.Number("last");
            }

            await Task.WhenAll(places.Select(place => _table.WriteAsync(
                new DynamoWrite(DynamoKeys.Mail(replica, place.Hash)).Set("acknowledged", Time(_table.Now)).Set("sequence", Number(place.Sequence))
                    .Set(DynamoKeys.Expires, Ttl(_table.Now + KeysKept + KeysKept)).WhenThere())));
            var drop = new DynamoWrite(DynamoKeys.Replica(replica)).WhenThere();
            drop.SetRaw($"{drop.N("acks")} = {drop.N("acks")} + {drop.V(Number(1))}").When($"attribute_not_exists({drop.N("takenBy")})");
            foreach (var place in places)
            {
                drop.Remove(drop.N("box", place.Hash));
            }

            await _table.WriteAsync(drop);
        }
    }

    /// <param name="replica">Whose mailbox.</param>
    /// <param name="hash">What the message is known by.</param>
    /// <param name="most">How many unread ones there may be.</param>
    /// <param name="mail">Makes the message, should it be put in.</param>
    /// <returns>Its sequence, or who took the mailbox over, or that it is full; none of these where there is none.</returns>
    private async Task<(long? Sequence, string? TakenBy, bool IsFull)> PutIntoAsync(
        string replica, string hash, int most, Func<Task<Dictionary<string, AttributeValue>>> mail)
    {
        while (true)
        {
            var box = await _table.GetAsync(DynamoKeys.Replica(replica), CancellationToken.None);
            if (box is null || box.TextOrNull("takenBy") is not null)
            {
                return (null, box?.Text("takenBy"), false);
            }

            if (box.Map("box").ContainsKey(hash))
            {
                return (box.Map("box").Number(hash), null, false);
            }

            if (box.Map("box").Count >= most)
            {
                return (null, null, true);
            }

            if (await KeyAsync(replica, hash, await mail()) is { } before)
            {
                return (before, null, false);
            }

            var write = new DynamoWrite(DynamoKeys.Replica(replica)).WhenThere();
            var (last, place, one) = (write.N("last"), write.N("box", hash), write.V(Number(1)));
            // What was dropped since it was read may have been this very message, posted by another try.
            write.SetRaw($"{last} = {last} + {one}").SetRaw($"{place} = {last} + {one}").When($"attribute_not_exists({place})")
                .When($"size({write.N("box")}) < {write.V(Number(most))}").When($"attribute_not_exists({write.N("takenBy")})").When($"{write.N("acks")} = {write.V(Number(box.Number("acks")))}");
            var (done, now) = await _table.ChangeAsync(write, ReturnValue.UPDATED_NEW);
            if (done)
            {
                return (now!.Number("last"), null, false);
            }
        }
    }

    /// <summary>Makes the message's item, unless it is there.</summary>
    /// <returns>Its sequence, where it was read not long ago: then it is not posted again.</returns>
    private async Task<long?> KeyAsync(string replica, string hash, Dictionary<string, AttributeValue> mail)
    {
        var forgotten = _table.Now - KeysKept;
        var item = new Dictionary<string, AttributeValue>(mail, StringComparer.Ordinal);
        foreach (var (name, value) in DynamoKeys.Mail(replica, hash).With(DynamoKeys.Expires, Ttl(_table.Now + MailKept)))
        {
            item[name] = value;
        }

        var put = DynamoWrite.Put(item);
        put.When($"attribute_not_exists({put.N(DynamoKeys.Partition)}) OR {put.N("acknowledged")} < {put.V(Time(forgotten))}");
        if (await _table.WriteAsync(put))
        {
            return null;
        }

        return await _table.GetAsync(DynamoKeys.Mail(replica, hash), CancellationToken.None) is { } known && known.ContainsKey("acknowledged")
            ? known.Number("sequence")
            : null;
    }

    /// <summary>Of one that was taken over, whose box nobody changes any more.</summary>
    /// <returns>False: the new one was taken over meanwhile, and its taker goes on; or it is full, and goes on itself when it has read.</returns>
    private async Task<bool> MoveMailAsync(Dictionary<string, AttributeValue> dead, string to)
    {
        // As it is now that nothing is posted or dropped any more.
        var frozen = await _table.GetAsync(DynamoKeys.Of(dead), CancellationToken.None);
        var name = dead.Text(DynamoKeys.Sort);
        var moved = new List<string>();
        foreach (var (hash, _) in frozen is null ? [] : InOrder(frozen))
        {
            moved.Add(hash);
            if (await _table.GetAsync(DynamoKeys.Mail(name, hash), CancellationToken.None) is not { } mail)
            {
                continue;
            }

            foreach (var own in new[] { "acknowledged", "sequence" })
            {
                mail.Remove(own);
            }

            var put = await PutIntoAsync(to, hash, _options.MostUnread * BoxesMoved, () => Task.FromResult(mail));
            if (put.IsFull)
            {
                // What was moved is not moved again, however much later the rest is.
                await DropPlacesAsync(name, moved[..^1]);
            }

            if (put.Sequence is null)
            {
                return false;
            }
        }

        await _table.WriteAsync(new DynamoWrite(DynamoKeys.Of(dead)).Set("box", Map([])).WhenThere());
        return true;
    }

    private async Task DropPlacesAsync(string replica, IEnumerable<string> hashes)
    {
        foreach (var some in hashes.Chunk(DroppedAtOnce))
        {
            var drop = new DynamoWrite(DynamoKeys.Replica(replica)).WhenThere();
            foreach (var hash in some)
            {
                drop.Remove(drop.N("box", hash));
            }

            await _table.WriteAsync(drop);
        }
    }

    private static IReadOnlyList<(string Hash, long Sequence)> InOrder(Dictionary<string, AttributeValue> replica) =>
        [.. replica.Map("box").Select(place => (place.Key, DynamoValues.Number(place.Value))).OrderBy(place => place.Item2)];
}
