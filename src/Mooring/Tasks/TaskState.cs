using System.Globalization;
using System.Text;
using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Tasks;

/// <summary>A held task as its client sees it (the tasks extension of 2026-07-28).</summary>
internal static class TaskState
{
    /// <summary>How often a client is to ask: a read of the store each time, and nothing that people wait for by the second.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    /// <summary>The result of a call that became a task; the questions of its server, the result and the error are for <c>tasks/get</c> alone.</summary>
    public static byte[] Created(HeldTask task) => [.. "{\"resultType\":\"task\","u8, .. Fields(task), (byte)'}'];

    /// <summary>The result of <c>tasks/get</c>.</summary>
    public static byte[] Got(HeldTask task) => [.. "{\"resultType\":\"complete\","u8, .. Fields(task), .. Detail(task), (byte)'}'];

    /// <summary>Told to those who listen: the same as <c>tasks/get</c> would say.</summary>
    public static byte[] Notification(HeldTask task) => JsonRpc.Notification("notifications/tasks", [(byte)'{', .. Fields(task), .. Detail(task), (byte)'}']);

    public static string ToWire(this HeldTaskStatus status) => status switch
    {
        HeldTaskStatus.Working => "working",
        HeldTaskStatus.InputRequired => "input_required",
        HeldTaskStatus.Completed => "completed",
        HeldTaskStatus.Failed => "failed",
        _ => "cancelled",
    };

    /// <summary>What every version says of a task, as properties.</summary>
    /// <param name="task">The task.</param>
    /// <param name="id">Under which its client knows it.</param>
    /// <param name="status">What it counts as there.</param>
    /// <param name="ttl">The name of its lifetime, in milliseconds.</param>
    /// <param name="poll">The name of the time between two questions, in milliseconds.</param>
    internal static byte[] Fields(HeldTask task, string id, HeldTaskStatus status, ReadOnlySpan<byte> ttl, ReadOnlySpan<byte> poll) =>
    [
        .. "\"taskId\":"u8, .. JsonText.Quote(id), .. ",\"status\":\""u8, .. Encoding.ASCII.GetBytes(status.ToWire()), (byte)'"',
        .. task.Message is { } message ? [.. ",\"statusMessage\":"u8, .. JsonText.Quote(message)] : (byte[])[],
        .. ",\"createdAt\":"u8, .. Time(task.Created), .. ",\"lastUpdatedAt\":"u8, .. Time(task.Updated),
        .. ",\""u8, .. ttl, .. "\":"u8, .. Milliseconds(task.Expires - task.Created), .. ",\""u8, .. poll, .. "\":"u8, .. Milliseconds(Poll),
    ];

    private static byte[] Fields(HeldTask task) => Fields(task, task.Id, task.Status, "ttlMs"u8, "pollIntervalMs"u8);

    private static byte[] Detail(HeldTask task) => task.Status switch
    {
        HeldTaskStatus.InputRequired => [.. ",\"inputRequests\":"u8, .. task.Body.Span],
        HeldTaskStatus.Completed => [.. ",\"result\":"u8, .. task.Body.Span],
        HeldTaskStatus.Failed => [.. ",\"error\":"u8, .. task.Body.Span],
        _ => [],
    };

    private static byte[] Time(DateTimeOffset time) =>
        Encoding.ASCII.GetBytes(time.UtcDateTime.ToString("'\"'yyyy-MM-dd'T'HH:mm:ss.fff'Z\"'", CultureInfo.InvariantCulture));

    private static byte[] Milliseconds(TimeSpan span) => Encoding.ASCII.GetBytes(((long)span.TotalMilliseconds).ToString(CultureInfo.InvariantCulture));
}
