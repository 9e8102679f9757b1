using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>
/// The fixture server, the gateway in front of it, and on request a recording relay on each leg. One test makes and disposes
/// it; everything ends with it.
/// </summary>
internal sealed class Rig : IAsyncDisposable
{
    /// <summary>Name of the fixture among the gateway's servers.</summary>
    public const string Name = "conformance";

    private readonly Stack<IAsyncDisposable> _parts = new();
    private readonly List<Relay> _relays = [];

    /// <summary>The fixture over HTTP; a gateway that uses stdio starts one of its own.</summary>
    public NodeServer Server { get; private set; } = null!;

    public GatewayProcess Gateway { get; private set; } = null!;

    /// <summary>What a client connects to: the gateway, or the relay in front of it.</summary>
    public Uri ClientUrl { get; private set; } = null!;

    /// <summary>The same by name: the suites insist on localhost.</summary>
    public Uri LocalhostClientUrl => new UriBuilder(ClientUrl) { Host = "localhost" }.Uri;

    /// <summary>Starts everything.</summary>
    /// <param name="sdk">The SDK the fixture runs on: v1 or v2; or alone, which is v2 in the version without sessions and no other.</param>
    /// <param name="recorded">Whether a relay records each leg.</param>
    /// <param name="clientTransport">What the client is to use: http or sse.</param>
    /// <param name="serverTransport">What the gateway is to use: http, sse or stdio.</param>
    public static async Task<Rig> StartAsync(
        string sdk = "v1", bool recorded = false, string clientTransport = "http", string serverTransport = "http")
    {
        var rig = new Rig();
        try
        {
            await rig.BuildAsync(sdk, recorded, clientTransport, serverTransport);
            return rig;
        }
        catch
        {
            await rig.DisposeAsync();
            throw;
        }
    }

    /// <summary>Fails if a message on either leg was not valid, or none passed.</summary>
    public async Task AssertEveryMessageValidAsync()
    {
        Assert.Equal(2, _relays.Count);
        foreach (var relay in _relays)
        {
            await relay.AssertEveryMessageValidAsync();
        }
    }

    /// <summary>Fails if a message that the gateway wrote was not valid: client and server are wrong on purpose.</summary>
    /// <param name="isPassedOn">Says of one (see <see cref="Relay.InvalidAsync"/>) that the gateway only passes on what is wrong in it.</param>
    public async Task AssertWhatTheGatewayWroteIsValidAsync(Predicate<JsonNode>? isPassedOn = null)
    {
        Assert.Equal(2, _relays.Count);
        List<string> invalid = [.. await NotOf(_relays[0], "server"), .. await NotOf(_relays[1], "client")];
        Assert.True(invalid.Count == 0, $"{invalid.Count} messages of the gateway are invalid, the first:\n{string.Join('\n', invalid.Take(5))}");

        Task<IReadOnlyList<string>> NotOf(Relay relay, string other) =>
            relay.InvalidAsync(line => (string?)line["from"] == other || isPassedOn?.Invoke(line) == true);
    }

    public async ValueTask DisposeAsync()
    {
        while (_parts.TryPop(out var part))
        {
            await part.DisposeAsync();
        }
    }

    private async Task BuildAsync(string sdk, bool recorded, string clientTransport, string serverTransport)
    {
        Server = Add(await NodeTool.StartAsync("server.mjs", [.. sdk == "alone" ? ["--sdk", "v2", "--alone"] : new[] { "--sdk", sdk }, .. serverTransport == "sse" ? ["--sse"] : Array.Empty<string>()]));
        string[] command = [NodeTool.Program, Path.Combine(Repository.NodeFixtures, "server.mjs"), "--stdio", "--sdk", sdk];
        var server = (serverTransport, recorded) switch
        {
            ("stdio", false) => GatewayProcess.Command(command[0], command[1..]),
            ("stdio", true) => Record(Relay.ForCommand("server", command)).Server,
            (_, false) => GatewayProcess.Remote(Server.Url),
            (_, true) => GatewayProcess.Remote(Record(await Relay.ToAsync("server", Server.Url)).Url),
        };
        Gateway = Add(await GatewayProcess.StartAsync(GatewayProcess.Config((Name, server))));
        ClientUrl = clientTransport == "sse" ? Gateway.ServerSseUrl(Name) : Gateway.ServerUrl(Name);
        if (recorded)
        {
            ClientUrl = Record(await Relay.ToAsync("client", ClientUrl)).Url;
        }
    }

    private Relay Record(Relay relay)
    {
        _relays.Add(relay);
        return Add(relay);
    }

    private T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Push(part);
        return part;
    }
}
