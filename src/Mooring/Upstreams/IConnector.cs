namespace Mooring.Upstreams;

/// <summary>
/// A server that runs inside the gateway. The plug point for built-in systems: it speaks newline-delimited JSON-RPC
/// exactly as a stdio server does, so everything that holds for servers holds for connectors.
/// </summary>
public interface IConnector
{
    /// <summary>The name clients see in <c>/servers/{name}/mcp</c>.</summary>
    string Name { get; }

    /// <summary>Serves one MCP session until <paramref name="input"/> ends or <paramref name="cancel"/> is cancelled.</summary>
    /// <param name="input">Messages from the gateway, one per line, UTF-8.</param>
    /// <param name="output">Messages to the gateway, one per line, UTF-8.</param>
    /// <param name="cancel">Ends the session at once.</param>
    Task ServeAsync(Stream input, Stream output, CancellationToken cancel);

    /// <summary>Reads again what it serves, for somebody who does not want to wait until it finds out by itself (<c>POST /reindex</c>).</summary>
    /// <returns>How many things it serves now, such as pages; null when it serves nothing that is read beforehand.</returns>
    /// <exception cref="IOException">It could not be read; what was read before is still served.</exception>
    Task<int?> RefreshAsync(CancellationToken cancel) => Task.FromResult<int?>(null);
}
