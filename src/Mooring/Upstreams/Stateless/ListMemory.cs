using System.Security.Cryptography;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// What a link's lists were when they were last read on it, so that a change can be found by reading them again: where nothing was heard for a while,
/// and where the server tells of none.
/// </summary>
internal sealed class ListMemory
{
    public const int MaxPages = 1000;

    /// <summary>Each list that changes are told of, with the notification for it.</summary>
    public static readonly IReadOnlyList<ListName> Lists =
    [
        new(McpMethod.ToolsList, "tools/list", "tools", "tools", "notifications/tools/list_changed"),
        new(McpMethod.PromptsList, "prompts/list", "prompts", "prompts", "notifications/prompts/list_changed"),
        new(McpMethod.ResourcesList, "resources/list", "resources", "resources", "notifications/resources/list_changed"),
        new(McpMethod.ResourcesTemplatesList, "resources/templates/list", "resourceTemplates", "resources", "notifications/resources/list_changed"),
    ];

    private readonly Lock _gate = new();
    private readonly Dictionary<McpMethod, List<Page>> _lists = [];

    /// <summary>Whether any was read.</summary>
    public bool HasAny
    {
        get
        {
            lock (_gate)
            {
                return _lists.Count > 0;
            }
        }
    }

    /// <summary>Notes one page by its place in the list: its cursor is whatever the server said last, which may be another one each time.</summary>
    public void Note(McpMethod method, string cursor, ReadOnlySpan<byte> result)
    {
        var page = PageOf(Lists.First(l => l.Method == method), result);
        lock (_gate)
        {
            var pages = _lists.GetValueOrDefault(method) ?? [];
            var at = cursor.Length == 0 ? 0 : pages.FindIndex(p => p.Next == cursor) + 1;
            if ((at == 0 && cursor.Length > 0) || at == MaxPages)
            {
                // By a cursor that is no longer the last one, or further than anybody looks.
                return;
            }

            _lists[method] = pages;
            if (at == pages.Count)
            {
                pages.Add(page);
            }
            else
            {
                pages[at] = page;
            }
        }
    }

    /// <summary>
    /// How long the server says that the list stays as it is; nothing where it may be another at once, as also where it does not say (2026-07-28,
    /// server/utilities/caching); null where it has not been read.
    /// </summary>
    public TimeSpan? Ttl(ListName list)
    {
        lock (_gate)
        {
            return _lists.TryGetValue(list.Method, out var pages) ? pages[0].Ttl : null;
        }
    }

    /// <summary>Reads a list again.</summary>
    /// <returns>Whether it is another one than before; false where it was never read, or cannot be.</returns>
    public async Task<bool> IsAnotherAsync(Link link, ListName list, CancellationToken cancel)
    {
        Page[] before;
        lock (_gate)
        {
            before = [.. _lists.GetValueOrDefault(list.Method) ?? []];
        }

        if (before.Length == 0)
        {
            return false;
        }

        var cursor = "";
        for (var at = 0; at < MaxPages; at++)
        {
            byte[] parameters = cursor.Length == 0 ? [] : [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
            var attempt = await link.RequestAsync(list.Name, parameters, cancel);
            if (attempt.Answer is not { Kind: FrameKind.Result } answer)
            {
                return false;
            }

            var page = PageOf(list, answer.Span(answer.Envelope.Result));
            if (at >= before.Length || !page.ShowsAs(before[at]))
            {
                return true;
            }

            cursor = page.Next;
            if (cursor.Length == 0)
            {
                // Pages of before that nothing leads to any more would say the same.
                return false;
            }
        }

        return false;
    }

    private static Page PageOf(ListName list, ReadOnlySpan<byte> result)
    {
        var at = JsonFields.Find(result, list.Key);
        var items = Convert.ToHexString(SHA256.HashData(at.IsPresent ? result.Slice(at.Start, at.Length) : default));
        return new Page(items, JsonFields.String(result, "nextCursor"u8) ?? "", TtlOf(result));
    }

    private static TimeSpan TtlOf(ReadOnlySpan<byte> result)
    {
        var at = JsonFields.Find(result, "ttlMs"u8);
        return at.IsPresent && JsonRpc.TryReadId(result.Slice(at.Start, at.Length), out var ms) ? TimeSpan.FromMilliseconds(Math.Clamp(ms, 0, 24 * 3600 * 1000L)) : TimeSpan.Zero;
    }

    /// <param name="Items">A hash of what it shows.</param>
    /// <param name="Next">The cursor of the page after it; empty: it is the last.</param>
    /// <param name="Ttl">How long the server says that it stays so.</param>
    private readonly record struct Page(string Items, string Next, TimeSpan Ttl)
    {
        public bool ShowsAs(Page other) => Items == other.Items && Next.Length == 0 == (other.Next.Length == 0);
    }
}

/// <param name="Method">The request for it.</param>
/// <param name="Name">The same on the wire.</param>
/// <param name="KeyText">The property of the result that has its items.</param>
/// <param name="Capability">The capability a server declares that has it.</param>
/// <param name="Changed">The notification that it is another one.</param>
internal sealed record ListName(McpMethod Method, string Name, string KeyText, string Capability, string Changed)
{
    public byte[] Key { get; } = System.Text.Encoding.ASCII.GetBytes(KeyText);
}
