using System.Security.Cryptography;
using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>One list of one server as last seen, immutable: the raw result, and where its items lie.</summary>
internal sealed class ServerList
{
    private Dictionary<string, Item>? _byName;
    private byte[]? _older;
    private byte[]? _offered;
    private long _asked;
    private Promise _promise;

    private ServerList(ListKind kind, byte[] result, long asked, DateTimeOffset confirmed)
    {
        Kind = kind;
        Result = result;
        _asked = asked;
        _promise = new Promise(CacheHint.Of(result), confirmed);
        SaysHowLong = JsonFields.Has(result, "ttlMs"u8);
        Hash = Convert.ToHexStringLower(SHA256.HashData(SaysHowLong ? JsonFields.Without(result, "ttlMs"u8) : result));
        var items = new List<Item>();
        var name = kind.NameKeyBytes();
        foreach (var slice in JsonFields.Elements(result, kind.KeyBytes()))
        {
            var raw = result.AsSpan(slice.Start, slice.Length);
            var at = JsonFields.Find(raw, name);
            if (at.IsPresent && raw[at.Start] == '"')
            {
                var item = new Item(slice, at, JsonText.Read(raw.Slice(at.Start, at.Length))) { Hints = kind == ListKind.Tools ? HintsOf(raw) : ToolHints.None };
                items.Add(item);
                HasHints |= (item.Hints & (ToolHints.ReadOnly | ToolHints.Idempotent)) != ToolHints.None;
                HasTasks |= item.Hints.HasFlag(ToolHints.TaskRequired);
            }
        }

        Items = items;
    }

    public ListKind Kind { get; }

    /// <summary>The whole result object, all pages in one, without a cursor. A single page stays byte for byte.</summary>
    public byte[] Result { get; }

    /// <summary>Of all that it says but how long it may be kept: a server may count that down, and shows the same list all the while.</summary>
    public string Hash { get; }

    /// <summary>The turn in which its server was asked for it, or in which it was read from the store. See <see cref="Turn"/>.</summary>
    public long Asked => Volatile.Read(ref _asked);

    /// <summary>Items that have a name; the others cannot be used by anyone.</summary>
    public IReadOnlyList<Item> Items { get; }

    /// <summary>Whether any tool says of itself that it is safe to repeat: without that, whoever only asks this needs no name.</summary>
    public bool HasHints { get; }

    /// <summary>Whether its server says for how long at all; of one that does not nobody knows when to ask again.</summary>
    public bool SaysHowLong { get; }

    /// <summary>Whether its time is up, and no less than lists may be read again after: 15 s.</summary>
    public bool IsOver(DateTimeOffset now)
    {
        var promise = Volatile.Read(ref _promise);
        return SaysHowLong && now - promise.Confirmed > ListPace.Shortest && (now - promise.Confirmed).TotalMilliseconds > promise.Hint.TtlMs;
    }

    /// <summary>Whether any tool is executed as a task alone.</summary>
    public bool HasTasks { get; }

    /// <summary>When it took the place of another one, as far as that is known; null: there was none before it. Set before anybody has it.</summary>
    public DateTimeOffset? Changed { get; set; }

    /// <summary>For how long from now on, and for whom, it may be kept: its server's word less the time that has passed since (2026-07-28, server/utilities/caching).</summary>
    /// <param name="now">The time.</param>
    /// <param name="isTold">Whether its server tells of changes, and told of none: then it said so just now.</param>
    public CacheHint HintAt(DateTimeOffset now, bool isTold)
    {
        var promise = Volatile.Read(ref _promise);
        return isTold ? promise.Hint : promise.Hint.After(now - promise.Confirmed);
    }

    /// <summary>Its server said the same again, asked in a later turn.</summary>
    public void Confirm(ServerList again)
    {
        var asked = again.Asked;
        for (var known = Asked; known < asked; known = Asked)
        {
            Interlocked.CompareExchange(ref _asked, asked, known);
        }

        Seen(again);
    }

    /// <summary>Its server showed the same to somebody: what it says there of how long that is so counts from then on.</summary>
    public void Seen(ServerList again)
    {
        var said = Volatile.Read(ref again._promise);
        for (var known = Volatile.Read(ref _promise); known.Confirmed < said.Confirmed; known = Volatile.Read(ref _promise))
        {
            Interlocked.CompareExchange(ref _promise, said, known);
        }
    }

    /// <param name="kind">Of what there is nothing.</param>
    /// <param name="hint">For how long and for whom.</param>
    /// <param name="confirmed">When its server said so.</param>
    public static ServerList Empty(ListKind kind, CacheHint hint = default, DateTimeOffset confirmed = default) =>
        Of(kind, [.. "{\""u8, .. kind.KeyBytes(), .. "\":[]"u8, .. hint.More(), (byte)'}'], confirmed);

    /// <param name="kind">Which list.</param>
    /// <param name="result">The whole result, raw JSON.</param>
    /// <param name="confirmed">When its server last said so; left out where nobody knows: then it is as old as can be.</param>
    public static ServerList Of(ListKind kind, byte[] result, DateTimeOffset confirmed = default) => new(kind, result, Turn.Next(), confirmed);

    /// <summary>Joins pages: the first page's other fields, the items of all, and of what they say of how long and for whom they hold the least.</summary>
    public static ServerList Join(ListKind kind, IReadOnlyList<byte[]> pages, long asked, DateTimeOffset confirmed = default)
    {
        var first = pages[0];
        if (pages.Count == 1)
        {
            return new ServerList(kind, WithoutCursor(first), asked, confirmed);
        }

        var key = kind.KeyBytes();
        var items = new List<byte>();
        items.Add((byte)'[');
        foreach (var page in pages)
        {
            foreach (var slice in JsonFields.Elements(page, key))
            {
                if (items.Count > 1)
                {
                    items.Add((byte)',');
                }

                items.AddRange(page.AsSpan(slice.Start, slice.Length));
            }
        }

        items.Add((byte)']');
        var joined = JsonFields.Splice(first, JsonFields.Find(first, key), items.ToArray());
        return new ServerList(kind, WithoutCursor(CacheHint.Least(pages.Select(page => CacheHint.Of(page))).Lower(joined)), asked, confirmed);
    }

    /// <summary>As <see cref="Result"/>, as a client of the version can read it.</summary>
    /// <param name="version">The client's.</param>
    /// <param name="offersTasks">Whether it may call the tools as tasks, of which they say nothing themselves; only in one version.</param>
    public byte[] ResultFor(ProtocolVersion version, bool offersTasks = false) => Kind != ListKind.Tools || !version.WantsObjects() ? Result
        : offersTasks ? _offered ??= Offered(_older ??= Older())
        : _older ??= Older();

    private static byte[] Offered(byte[] result)
    {
        // From the back, so that the places of those before it stay.
        foreach (var tool in Enumerable.Reverse(JsonFields.Elements(result, "tools"u8)))
        {
            result = JsonFields.Splice(result, tool, TasksExtension.Offer(result.AsSpan(tool.Start, tool.Length)));
        }

        return result;
    }

    private byte[] Older()
    {
        var older = Result;
        foreach (var item in Items.Reverse())
        {
            if (OlderClients.Tool(Raw(item)) is { } tool)
            {
                older = JsonFields.Splice(older, item.Place, tool);
            }
        }

        return older;
    }

    public ReadOnlySpan<byte> Raw(Item item) => Result.AsSpan(item.Place.Start, item.Place.Length);

    public Item? Find(string name)
    {
        _byName ??= Items.GroupBy(i => i.Name, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.First(), StringComparer.Ordinal);
        return _byName.TryGetValue(name, out var item) ? item : null;
    }

    private static ToolHints HintsOf(ReadOnlySpan<byte> tool)
    {
        var tasks = JsonFields.String(JsonFields.Object(tool, "execution"u8), "taskSupport"u8) switch
        {
            "optional" => ToolHints.TaskOptional,
            "required" => ToolHints.TaskRequired,
            _ => ToolHints.None,
        };
        var annotations = JsonFields.Find(tool, "annotations"u8);
        if (!annotations.IsPresent)
        {
            return tasks;
        }

        var hints = tool.Slice(annotations.Start, annotations.Length);
        return tasks | (JsonFields.IsTrue(hints, "readOnlyHint"u8) ? ToolHints.ReadOnly : ToolHints.None)
            | (JsonFields.IsTrue(hints, "idempotentHint"u8) ? ToolHints.Idempotent : ToolHints.None);
    }

    private static byte[] WithoutCursor(byte[] result)
    {
        var cursor = JsonFields.Find(result, "nextCursor"u8);
        return cursor.IsPresent ? JsonFields.Splice(result, cursor, "null"u8).WithoutNullCursor() : result;
    }

    /// <param name="Hint">For how long and for whom.</param>
    /// <param name="Confirmed">From when on: its server last said so then. The least time there is where nobody knows.</param>
    private sealed record Promise(CacheHint Hint, DateTimeOffset Confirmed);

    /// <param name="Place">In <see cref="Result"/>.</param>
    /// <param name="NameAt">Of the name's token, within the item.</param>
    /// <param name="Name">Its text.</param>
    internal readonly record struct Item(Slice Place, Slice NameAt, string Name)
    {
        /// <summary>Of a tool.</summary>
        public ToolHints Hints { get; init; }
    }
}

/// <summary>What a tool says of itself (2025-11-25, schema, "ToolAnnotations", "ToolExecution"), as far as it matters here.</summary>
[Flags]
internal enum ToolHints : byte
{
    None = 0,

    /// <summary><c>readOnlyHint</c>: it changes nothing.</summary>
    ReadOnly = 1,

    /// <summary><c>idempotentHint</c>: executing it twice is the same as once.</summary>
    Idempotent = 2,

    /// <summary><c>execution.taskSupport</c> is optional: it may be called as a task (2025-11-25, server/tools).</summary>
    TaskOptional = 4,

    /// <summary><c>execution.taskSupport</c> is required: it may not be called otherwise.</summary>
    TaskRequired = 8,
}

file static class Cursors
{
    /// <summary>Takes <c>"nextCursor":null</c> out, with the comma beside it.</summary>
    public static byte[] WithoutNullCursor(this byte[] result)
    {
        var reader = new System.Text.Json.Utf8JsonReader(result, JsonFields.AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType == System.Text.Json.JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var wanted = JsonText.IsKey(ref reader, "nextCursor"u8);
            reader.Read();
            reader.Skip();
            if (!wanted)
            {
                continue;
            }

            var end = (int)reader.BytesConsumed;
            var after = result.AsSpan(end).IndexOfAnyExcept(" \t\r\n"u8);
            if (after >= 0 && result[end + after] == ',')
            {
                end += after + 1;
            }
            else
            {
                start = result.AsSpan(0, start).LastIndexOf((byte)',') is >= 0 and var comma ? comma : start;
            }

            return [.. result.AsSpan(0, start), .. result.AsSpan(end)];
        }

        return result;
    }
}
