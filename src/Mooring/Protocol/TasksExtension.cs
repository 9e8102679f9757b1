namespace Mooring.Protocol;

/// <summary>The extension for tasks of 2026-07-28, as far as both ends have to know it.</summary>
internal static class TasksExtension
{
    public const string Name = "io.modelcontextprotocol/tasks";

    /// <summary>The data of an error for a client that did not declare it.</summary>
    public static ReadOnlySpan<byte> Required => "{\"requiredCapabilities\":{\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}}"u8;

    /// <summary>Whether it is declared.</summary>
    /// <param name="capabilities">Capabilities of a client or a server, raw JSON.</param>
    public static bool IsIn(ReadOnlySpan<byte> capabilities) =>
        !JsonFields.Object(JsonFields.Object(capabilities, "extensions"u8), "io.modelcontextprotocol/tasks"u8).IsEmpty;

    /// <summary>What a server declares in 2025-11-25 whose tools may all be called as tasks; a property.</summary>
    public static ReadOnlySpan<byte> OlderCapability => "\"tasks\":{\"list\":{},\"cancel\":{},\"requests\":{\"tools\":{\"call\":{}}}}"u8;

    /// <summary>
    /// A tool as 2025-11-25 shows one that may be called as a task (server/tools, "Tool", <c>execution</c>). The extension has no word for it: which call becomes
    /// a task is the server's business each time. What a tool says of itself stays.
    /// </summary>
    public static byte[] Offer(ReadOnlySpan<byte> tool)
    {
        var execution = JsonFields.Object(tool, "execution"u8);
        return JsonFields.Has(execution, "taskSupport"u8)
            ? tool.ToArray()
            : JsonFields.Prepend(
                JsonFields.Without(tool, "execution"u8),
                [.. "\"execution\":"u8, .. JsonFields.Prepend(execution.IsEmpty ? "{}"u8 : execution, "\"taskSupport\":\"optional\""u8)]);
    }

    /// <summary>Capabilities that declare it, with all else as it is.</summary>
    public static byte[] AddTo(ReadOnlySpan<byte> capabilities)
    {
        if (IsIn(capabilities))
        {
            return capabilities.ToArray();
        }

        var extensions = JsonFields.Object(capabilities, "extensions"u8);
        byte[] with = JsonFields.Prepend(extensions.IsEmpty ? "{}"u8 : extensions, "\"io.modelcontextprotocol/tasks\":{}"u8);
        return JsonFields.Prepend(JsonFields.Without(capabilities, "extensions"u8), [.. "\"extensions\":"u8, .. with]);
    }
}
