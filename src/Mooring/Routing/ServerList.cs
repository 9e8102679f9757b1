using System.Security.Cryptography;
using Mooring.Protocol;

namespace Mooring.Routing;

/// <summary>One list of one server as last seen, immutable: the raw result, and where its items lie.</summary>
internal sealed class ServerList
{
    private Dictionary<string, Item>? _byName;
    private byte[]? _older;
    private byte[]? _offered;
    private long _asked;

    private ServerList(ListKind kind, byte[] result, long asked)
    {
        Kind = kind;
        Result = result;
        Hash = Convert.ToHexStringLower(SHA256.HashData(result));
        _asked = asked;
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

    public string Hash { get; }

    /// <summary>The turn in which its server was asked for it, or in which it was read from the store. See <see cref="Turn"/>.</summary>
    public long Asked => Volatile.Read(ref _asked);

    /// <summary>Items that have a name; the others cannot be used by anyone.</summary>
    public IReadOnlyList<Item> Items { get; }

    /// <summary>Whether any tool says of itself that it is safe to repeat: without that, whoever only asks this needs no name.</summary>
    public bool HasHints { get; }

    /// <summary>For how long and for whom its server says that it is so.</summary>
    public CacheHint Hint => CacheHint.Of(Result);

    /// <summary>Whether any tool is executed as a task alone.</summary>
    public bool HasTasks { get; }

    /// <summary>Its server said the same again, asked in a later turn.</summary>
    public void Confirm(long asked)
    {
        for (var known = Asked; known < asked; known = Asked)
        {
            Interlocked.CompareExchange(ref _asked, asked, known);
        }
    }

    /// <param name="kind">Of what there is nothing.</param>
    /// <param name="hint">For how long and for whom.</param>
    public static ServerList Empty(ListKind kind, CacheHint hint = default) =>
        Of(kind, [.. "{\""u8, .. kind.KeyBytes(), .. "\":[]"u8, .. hint.More(), (byte)'}']);

    public static ServerList Of(ListKind kind, byte[] result) => new(kind, result, Turn.Next());

    /// <summary>Joins pages: the first page's other fields, the items of all, and of what they say of how long and for whom they hold the least.</summary>
    public static ServerList Join(ListKind kind, IReadOnlyList<byte[]> pages, long asked)
    {
        var first = pages[0];
        if (pages.Count == 1)
        {
            return new ServerList(kind, WithoutCursor(first), asked);
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
        return new ServerList(kind, WithoutCursor(CacheHint.Least(pages.Select(page => CacheHint.Of(page))).Lower(joined)), asked);
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
        var reader = new System.Text.Json.Utf8JsonReader(result);
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
