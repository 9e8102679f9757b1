namespace Mooring.Protocol;

/// <summary>The methods the gateway has to know; anything else is <see cref="Other"/> and passes by its text.</summary>
internal enum McpMethod : byte
{
    None,
    Other,

    // Requests of the client
    Initialize,
    Ping,
    ToolsList,
    ToolsCall,
    PromptsList,
    PromptsGet,
    ResourcesList,
    ResourcesTemplatesList,
    ResourcesRead,
    ResourcesSubscribe,
    ResourcesUnsubscribe,
    Complete,
    SetLevel,

    // Requests of the client without sessions (2026-07-28)
    Discover,
    Listen,
    TasksUpdate,

    // Requests of either side (tasks of 2025-11-25; of the client alone in the tasks extension)
    TasksGet,
    TasksResult,
    TasksList,
    TasksCancel,

    // Requests of the server
    CreateMessage,
    Elicit,
    RootsList,

    // Notifications
    Initialized,
    Cancelled,
    Progress,
    Message,
    ToolsListChanged,
    PromptsListChanged,
    ResourcesListChanged,
    ResourcesUpdated,
    RootsListChanged,
    ElicitationComplete,
    TasksStatus,
    SubscriptionsAcknowledged,

    /// <summary>As <see cref="TasksStatus"/>, in the tasks extension.</summary>
    Tasks,
}

/// <summary>Names of methods on the wire.</summary>
internal static class McpMethods
{
    public static McpMethod Parse(ReadOnlySpan<byte> text) => text.Length switch
    {
        4 when text.SequenceEqual("ping"u8) => McpMethod.Ping,
        9 when text.SequenceEqual("tasks/get"u8) => McpMethod.TasksGet,
        10 => Ten(text),
        11 when text.SequenceEqual("prompts/get"u8) => McpMethod.PromptsGet,
        12 => Twelve(text),
        15 when text.SequenceEqual("server/discover"u8) => McpMethod.Discover,
        14 when text.SequenceEqual("resources/list"u8) => McpMethod.ResourcesList,
        14 when text.SequenceEqual("resources/read"u8) => McpMethod.ResourcesRead,
        16 when text.SequenceEqual("logging/setLevel"u8) => McpMethod.SetLevel,
        18 when text.SequenceEqual("elicitation/create"u8) => McpMethod.Elicit,
        19 when text.SequenceEqual("resources/subscribe"u8) => McpMethod.ResourcesSubscribe,
        19 when text.SequenceEqual("completion/complete"u8) => McpMethod.Complete,
        20 when text.SequenceEqual("subscriptions/listen"u8) => McpMethod.Listen,
        21 when text.SequenceEqual("resources/unsubscribe"u8) => McpMethod.ResourcesUnsubscribe,
        22 when text.SequenceEqual("sampling/createMessage"u8) => McpMethod.CreateMessage,
        24 when text.SequenceEqual("resources/templates/list"u8) => McpMethod.ResourcesTemplatesList,
        > 14 when text.StartsWith("notifications/"u8) => Notification(text["notifications/"u8.Length..]),
        0 => McpMethod.None,
        _ => McpMethod.Other,
    };

    private static McpMethod Ten(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("tools/call"u8) ? McpMethod.ToolsCall
        : text.SequenceEqual("tools/list"u8) ? McpMethod.ToolsList
        : text.SequenceEqual("initialize"u8) ? McpMethod.Initialize
        : text.SequenceEqual("roots/list"u8) ? McpMethod.RootsList
        : text.SequenceEqual("tasks/list"u8) ? McpMethod.TasksList
        : McpMethod.Other;

    private static McpMethod Twelve(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("prompts/list"u8) ? McpMethod.PromptsList
        : text.SequenceEqual("tasks/result"u8) ? McpMethod.TasksResult
        : text.SequenceEqual("tasks/cancel"u8) ? McpMethod.TasksCancel
        : text.SequenceEqual("tasks/update"u8) ? McpMethod.TasksUpdate
        : McpMethod.Other;

    private static McpMethod Notification(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("initialized"u8) ? McpMethod.Initialized
        : name.SequenceEqual("cancelled"u8) ? McpMethod.Cancelled
        : name.SequenceEqual("progress"u8) ? McpMethod.Progress
        : name.SequenceEqual("message"u8) ? McpMethod.Message
        : name.SequenceEqual("tools/list_changed"u8) ? McpMethod.ToolsListChanged
        : name.SequenceEqual("prompts/list_changed"u8) ? McpMethod.PromptsListChanged
        : name.SequenceEqual("resources/list_changed"u8) ? McpMethod.ResourcesListChanged
        : name.SequenceEqual("resources/updated"u8) ? McpMethod.ResourcesUpdated
        : name.SequenceEqual("roots/list_changed"u8) ? McpMethod.RootsListChanged
        : name.SequenceEqual("elicitation/complete"u8) ? McpMethod.ElicitationComplete
        : name.SequenceEqual("tasks/status"u8) ? McpMethod.TasksStatus
        : name.SequenceEqual("subscriptions/acknowledged"u8) ? McpMethod.SubscriptionsAcknowledged
        : name.SequenceEqual("tasks"u8) ? McpMethod.Tasks
        : McpMethod.Other;
}
