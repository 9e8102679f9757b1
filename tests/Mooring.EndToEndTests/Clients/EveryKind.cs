using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>
/// One gateway with a server of each kind, on the official libraries: with sessions over HTTP, HTTP+SSE and stdio, and without over HTTP and stdio. A
/// relay in front of it says what a client spoke. Shared by the tests of a class.
/// </summary>
public sealed class EveryKind : IAsyncLifetime
{
    /// <summary>Names of the servers; those of the version without sessions begin with "new".</summary>
    public static readonly IReadOnlyList<string> Kinds = ["old-http", "old-sse", "old-stdio", "new-http", "new-stdio"];

    private readonly Stack<IAsyncDisposable> _parts = new();

    internal GatewayProcess Gateway { get; private set; } = null!;

    internal Relay Relay { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var script = Path.Combine(Repository.NodeFixtures, "server.mjs");
        var conversing = Add(await NodeTool.StartAsync("server.mjs"));
        var alone = Add(await NodeTool.StartAsync("server.mjs", "--sdk", "v2", "--alone"));
        Gateway = Add(await GatewayProcess.StartAsync(GatewayProcess.Config(
            (Kinds[0], GatewayProcess.Remote(conversing.Url)),
            (Kinds[1], GatewayProcess.Remote(new Uri(conversing.Ready.GetProperty("sseUrl").GetString()!), "sse")),
            (Kinds[2], GatewayProcess.Command(NodeTool.Program, script, "--stdio")),
            (Kinds[3], GatewayProcess.Remote(alone.Url)),
            (Kinds[4], GatewayProcess.Command(NodeTool.Program, script, "--stdio", "--sdk", "v2", "--alone")))));
        Relay = Add(await Relay.ToAsync("client", Gateway.BaseUrl));
    }

    public async ValueTask DisposeAsync()
    {
        while (_parts.TryPop(out var part))
        {
            await part.DisposeAsync();
        }
    }

    private T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Push(part);
        return part;
    }
}
