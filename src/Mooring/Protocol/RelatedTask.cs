namespace Mooring.Protocol;

/// <summary>The note that says which task of 2025-11-25 a message belongs to (basic/utilities/tasks, "Associating Task-Related Messages").</summary>
internal static class RelatedTask
{
    /// <summary>Params or a result, an object, with the note at its head and no other.</summary>
    public static byte[] AddTo(ReadOnlySpan<byte> holder, string taskId)
    {
        var bare = Without(holder);
        var meta = JsonFields.Object(bare, "_meta"u8);
        byte[] with = JsonFields.Prepend(meta.IsEmpty ? "{}"u8 : meta, [.. "\"io.modelcontextprotocol/related-task\":{\"taskId\":"u8, .. JsonText.Quote(taskId), (byte)'}']);
        return JsonFields.Prepend(JsonFields.Without(bare, "_meta"u8), [.. "\"_meta\":"u8, .. with]);
    }

    /// <summary>Params or a result without it; all else stays byte for byte.</summary>
    public static byte[] Without(ReadOnlySpan<byte> holder)
    {
        var meta = JsonFields.Find(holder, "_meta"u8);
        return meta.IsPresent
            ? JsonFields.Splice(holder, meta, JsonFields.Without(holder.Slice(meta.Start, meta.Length), "io.modelcontextprotocol/related-task"u8))
            : holder.ToArray();
    }
}
