namespace Mooring.Routing;

/// <summary>
/// Ids of pages that a client is to visit (2025-11-25, client/elicitation) carry their server's name on the merged route, so that what one server says is done
/// completes no other's page. Clients only ever compare them.
/// </summary>
internal static class ElicitationIds
{
    public const string Key = "elicitationId";

    public static byte[] Show(byte[] line, string server) => IdPlaces.Replace(line, Key, id => $"{server}.{id}", IsProtocols);

    private static bool IsProtocols(List<string> path) => path is ["params", Key] or ["error", "data", "elicitations", "[]", Key];
}
