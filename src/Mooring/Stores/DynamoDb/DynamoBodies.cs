using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// Bodies that may be larger than an item: those above a size are cut into chunks, which are there before the item that names them, so that a
/// body appears at once. Every chunk has a TTL; where the item has none, reading prolongs that of its chunks, and so does who sweeps.
/// </summary>
internal sealed class DynamoBodies(DynamoTable table)
{
    /// <summary>Bytes of one chunk, and of a body that stays in its item.</summary>
    public const int ChunkBytes = 256 * 1024;

    /// <summary>In rows that are listed, a listing reads what lies in the item.</summary>
    public const int ListedBytes = 8 * 1024;

    /// <summary>How long chunks of an item without an end stay; half of it later a reader prolongs it, or who sweeps.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromDays(60);

    private const int AtOnce = 8;

    private const string Blob = "_blob";

    private const string Size = "_size";

    private const string Renewed = "_until";

    /// <summary>Puts a body into an item, or its chunks into the table and their name into the item.</summary>
    /// <param name="item">What will hold it.</param>
    /// <param name="name">The attribute.</param>
    /// <param name="body">The body.</param>
    /// <param name="expires">When the item ends; null: nobody knows.</param>
    /// <param name="inline">Bytes that stay in the item.</param>
    public async Task AddAsync(Dictionary<string, AttributeValue> item, string name, ReadOnlyMemory<byte> body, DateTimeOffset? expires, int inline = ChunkBytes)
    {
        if (body.Length <= inline)
        {
            item.With(name, Bytes(body));
            return;
        }

        var blob = NewToken();
        var until = expires ?? table.Now + Kept;
        var chunks = (body.Length + ChunkBytes - 1) / ChunkBytes;
        await Parallel.ForEachAsync(Enumerable.Range(0, chunks), new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (index, _) =>
        {
            var part = body.Slice(index * ChunkBytes, Math.Min(ChunkBytes, body.Length - (index * ChunkBytes)));
            await table.WriteAsync(DynamoWrite.Put(DynamoKeys.Chunk(blob, index).With("b", Bytes(part)).With(DynamoKeys.Expires, Ttl(until))));
        });
        item[name + Blob] = Text(blob);
        item[name + Size] = Number(body.Length);
        if (expires is null)
        {
            item[name + Renewed] = Time(until);
        }
    }

    /// <summary>The names of the attributes that a body may have.</summary>
    public static string[] AttributesOf(string name) => [name, name + Blob, name + Size, name + Renewed];

    /// <returns>Null: a chunk is gone; the item is of no use any more.</returns>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(Dictionary<string, AttributeValue> item, string name, CancellationToken cancel)
    {
        if (item.TextOrNull(name + Blob) is not { } blob)
        {
            return item.Bytes(name);
        }

        var body = new byte[item.Number(name + Size)];
        var isWhole = true;
        await Parallel.ForEachAsync(
            Enumerable.Range(0, (body.Length + ChunkBytes - 1) / ChunkBytes),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel },
            async (index, token) =>
            {
                if (await table.GetAsync(DynamoKeys.Chunk(blob, index), token) is { } chunk)
                {
                    chunk.Bytes("b").CopyTo(body.AsMemory(index * ChunkBytes));
                }
                else
                {
                    isWhole = false;
                }
            });
        if (!isWhole)
        {
            return null;
        }

        await ProlongAsync(item, name);
        return body;
    }

    /// <summary>A row may be of use for longer than anybody reads it: who asks this of all rows without an end has them kept.</summary>
    /// <param name="query">Rows without an end.</param>
    /// <param name="names">What their bodies are called.</param>
    /// <returns>Those of which chunks are to be prolonged, and no more of them than that takes.</returns>
    public DynamoQuery DueOf(DynamoQuery query, params ReadOnlySpan<string> names)
    {
        var (due, only, border) = (new List<string>(), new List<string> { DynamoKeys.Partition, DynamoKeys.Sort }, query.V(Time(table.Now + (Kept / 2))));
        foreach (var name in names)
        {
            due.Add($"{query.N(name + Renewed)} < {border}");
            only.AddRange(AttributesOf(name)[1..]);
        }

        return query.Where(string.Join(" OR ", due)).Only([.. only]);
    }

    /// <summary>Prolongs the chunks of a body, where it is time to.</summary>
    public async Task ProlongAsync(Dictionary<string, AttributeValue> item, string name)
    {
        if (item.TextOrNull(name + Blob) is { } blob && item.TimeOrNull(name + Renewed) is { } until && until - table.Now < Kept / 2)
        {
            await ProlongAsync(item, name, blob, item.Number(name + Size));
        }
    }

    /// <summary>Deletes the chunks of what an item held.</summary>
    public Task DropAsync(IEnumerable<Dictionary<string, AttributeValue>> items, params string[] names) => table.DeleteAllAsync(
        from item in items
        from name in names
        let blob = item.TextOrNull(name + Blob)
        where blob is not null
        from index in Enumerable.Range(0, (int)((item.Number(name + Size) + ChunkBytes - 1) / ChunkBytes))
        select DynamoKeys.Chunk(blob, index));

    private async Task ProlongAsync(Dictionary<string, AttributeValue> item, string name, string blob, long length)
    {
        var until = table.Now + Kept;
        for (var index = 0; index * ChunkBytes < length; index++)
        {
            await table.WriteAsync(new DynamoWrite(DynamoKeys.Chunk(blob, index)).Set(DynamoKeys.Expires, Ttl(until)).WhenThere());
        }

        var change = new DynamoWrite(DynamoKeys.Of(item)).Set(name + Renewed, Time(until));
        await table.WriteAsync(change.When($"{change.N(name + Blob)} = {change.V(Text(blob))}"));
    }
}
