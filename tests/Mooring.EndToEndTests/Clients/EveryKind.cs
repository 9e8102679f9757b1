using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>
/// One gateway with a server of each kind, on the official libraries: with sessions over HTTP, HTTP+SSE and stdio, and without over HTTP and stdio. A
/// relay in front of it and one at each server judge every message. Shared by the tests of a class.
/// </summary>
public sealed class EveryKind : IAsyncLifetime
{
    /// <summary>Names of the servers; those of the version without sessions begin with "new".</summary>
    public static readonly IReadOnlyList<string> Kinds = ["old-http", "old-sse", "old-stdio", "new-http", "new-stdio"];

    private readonly Stack<IAsyncDisposable> _parts = new();
    private readonly List<Relay> _serverLegs = [];

    internal GatewayProcess Gateway { get; private set; } = null!;

    /// <summary>In front of the gateway.</summary>
    internal Relay Relay { get; private set; } = null!;

    /// <summary>Fails if a message so far was not valid, in front of the gateway or at the server of a kind.</summary>
    internal async Task AssertEveryMessageValidAsync(string kind)
    {
        await Relay.AssertEveryMessageValidAsync();
        await _serverLegs[Kinds.ToList().IndexOf(kind)].AssertEveryMessageValidAsync();
    }

    public async ValueTask InitializeAsync()
    {
        var script = Path.Combine(Repository.NodeFixtures, "server.mjs");
        var conversing = Add(await NodeTool.StartAsync("server.mjs"));
        var alone = Add(await NodeTool.StartAsync("server.mjs", "--sdk", "v2", "--alone"));
        _serverLegs.AddRange(
        [
            Add(await Relay.ToAsync(Kinds[0], conversing.Url)),
            Add(await Relay.ToAsync(Kinds[1], new Uri(conversing.Ready.GetProperty("sseUrl").GetString()!))),
            Add(Relay.ForCommand(Kinds[2], NodeTool.Program, script, "--stdio")),
            Add(await Relay.ToAsync(Kinds[3], alone.Url)),
            Add(Relay.ForCommand(Kinds[4], NodeTool.Program, script, "--stdio", "--sdk", "v2", "--alone")),
        ]);
        Gateway = Add(await GatewayProcess.StartAsync(GatewayProcess.Config(
            (Kinds[0], GatewayProcess.Remote(_serverLegs[0].Url)),
            (Kinds[1], GatewayProcess.Remote(_serverLegs[1].Url, "sse")),
            (Kinds[2], _serverLegs[2].Server),
            (Kinds[3], GatewayProcess.Remote(_serverLegs[3].Url)),
            (Kinds[4], _serverLegs[4].Server))));
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
