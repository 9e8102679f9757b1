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
    private readonly Dictionary<(McpMethod Method, string Cursor), Page> _pages = [];

    /// <summary>Whether any was read.</summary>
    public bool HasAny
    {
        get
        {
            lock (_gate)
            {
                return _pages.Count > 0;
            }
        }
    }

    /// <summary>Notes one page.</summary>
    public void Note(McpMethod method, string cursor, ReadOnlySpan<byte> result)
    {
        var list = Lists.First(l => l.Method == method);
        var page = new Page(HashOf(list, result), TtlOf(result));
        lock (_gate)
        {
            _pages[(method, cursor)] = page;
        }
    }

    /// <summary>How long the server says that the list stays as it is; null where it has not been read or the server does not say.</summary>
    public TimeSpan? Ttl(ListName list)
    {
        lock (_gate)
        {
            return _pages.TryGetValue((list.Method, ""), out var page) && page.Ttl > TimeSpan.Zero ? page.Ttl : null;
        }
    }

    /// <summary>Reads a list again.</summary>
    /// <returns>Whether it is another one than before; false where it was never read, or cannot be.</returns>
    public async Task<bool> IsAnotherAsync(Link link, ListName list, CancellationToken cancel)
    {
        Dictionary<string, string> before;
        lock (_gate)
        {
            before = _pages.Where(p => p.Key.Method == list.Method).ToDictionary(p => p.Key.Cursor, p => p.Value.Hash, StringComparer.Ordinal);
        }

        if (before.Count == 0)
        {
            return false;
        }

        var cursor = "";
        for (var pages = 0; pages < MaxPages; pages++)
        {
            byte[] parameters = cursor.Length == 0 ? [] : [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
            var attempt = await link.RequestAsync(list.Name, parameters, cancel);
            if (attempt.Answer is not { Kind: FrameKind.Result } answer)
            {
                return false;
            }

            var result = answer.Span(answer.Envelope.Result).ToArray();
            if (!before.Remove(cursor, out var hash) || hash != HashOf(list, result))
            {
                return true;
            }

            cursor = JsonFields.String(result, "nextCursor"u8) ?? "";
            if (cursor.Length == 0)
            {
                // Pages of before that nothing leads to any more would say the same.
                return false;
            }
        }

        return false;
    }

    private static string HashOf(ListName list, ReadOnlySpan<byte> result)
    {
        var at = JsonFields.Find(result, list.Key);
        var next = JsonFields.String(result, "nextCursor"u8);
        return Convert.ToHexString(SHA256.HashData(at.IsPresent ? result.Slice(at.Start, at.Length) : default)) + next;
    }

    private static TimeSpan TtlOf(ReadOnlySpan<byte> result)
    {
        var at = JsonFields.Find(result, "ttlMs"u8);
        return at.IsPresent && JsonRpc.TryReadId(result.Slice(at.Start, at.Length), out var ms) ? TimeSpan.FromMilliseconds(Math.Clamp(ms, 0, 24 * 3600 * 1000L)) : TimeSpan.Zero;
    }

    private readonly record struct Page(string Hash, TimeSpan Ttl);
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
