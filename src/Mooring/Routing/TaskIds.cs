namespace Mooring.Routing;

/// <summary>
/// Task ids of 2025-11-25 on the merged route carry their server's name, so that ids of two servers cannot meet and any replica knows
/// where a task lives. They are changed only where the protocol puts them, never inside what a tool says.
/// </summary>
internal static class TaskIds
{
    private const char Separator = '.';

    /// <summary>The server and its own id of a task that the client names.</summary>
    public static (string Server, string TaskId)? Parse(string shown)
    {
        var dot = shown.IndexOf(Separator, StringComparison.Ordinal);
        return dot > 0 ? (shown[..dot], shown[(dot + 1)..]) : null;
    }

    public static string Of(string server, string taskId) => server + Separator + taskId;

    /// <summary>Puts the server's name before each task id: in a created task, a task's state, a page of tasks, a status notification, and the related-task note.</summary>
    public static byte[] Show(byte[] line, string server) => IdPlaces.Replace(line, "taskId", id => Of(server, id), IsProtocols);

    /// <summary>Takes the server's name off again where a client's answer says which task it belongs to.</summary>
    public static byte[] Hide(byte[] line, string server) =>
        IdPlaces.Replace(line, "taskId", id => id.StartsWith(server + Separator, StringComparison.Ordinal) ? id[(server.Length + 1)..] : null, IsRelated);

    private static bool IsProtocols(List<string> path) => path switch
    {
        ["result", "taskId"] or ["result", "task", "taskId"] or ["params", "taskId"] => true,
        ["result", "tasks", "[]", "taskId"] => true,
        _ => IsRelated(path),
    };

    private static bool IsRelated(List<string> path) => path is [_, "_meta", "io.modelcontextprotocol/related-task", "taskId"];
}
