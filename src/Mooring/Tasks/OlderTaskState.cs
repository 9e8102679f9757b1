using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Tasks;

/// <summary>A held task as a client of 2025-11-25 sees it (basic/utilities/tasks, "Data Types"), under the id that the client has for it.</summary>
internal static class OlderTaskState
{
    /// <summary>The result of a call whose client wanted a task.</summary>
    public static byte[] Created(HeldTask task, string id) => [.. "{\"task\":"u8, .. Got(task, id), (byte)'}'];

    /// <summary>The result of <c>tasks/get</c> and <c>tasks/cancel</c>, and an element of <c>tasks/list</c>.</summary>
    public static byte[] Got(HeldTask task, string id) =>
        [(byte)'{', .. TaskState.Fields(task, id, StatusOf(task), "ttl"u8, "pollInterval"u8), (byte)'}'];

    public static byte[] Notification(HeldTask task, string id) => JsonRpc.Notification("notifications/tasks/status", Got(task, id));

    /// <summary>A tool's own error is a failure there ("Task Execution Errors"); in the extension it is a result.</summary>
    public static HeldTaskStatus StatusOf(HeldTask task) =>
        task.Status == HeldTaskStatus.Completed && JsonFields.IsTrue(task.Body.Span, "isError"u8) ? HeldTaskStatus.Failed : task.Status;
}
