using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Browser;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>What a sign-in with a browser takes: a gateway that issues tokens, a provider on another site, a server, and a Chromium. One class of tests shares it.</summary>
public sealed class SignInWorld : IAsyncLifetime
{
    public const string Provider = "corp";

    private readonly Stack<IAsyncDisposable> _parts = new();

    internal GatewayProcess Gateway { get; private set; } = null!;

    internal Chromium Chromium { get; private set; } = null!;

    internal string Url => Gateway.ServerUrl("up").AbsoluteUri;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The browser that clients start is a shell script.");
        var provider = Add(await NodeTool.StartAsync("openid-provider.mjs", "--host", "localhost", "--page"));
        var server = Add(await NodeTool.StartAsync("server.mjs"));
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["auth"] = new JsonObject
        {
            ["mode"] = "oauth",
            ["oauth"] = new JsonObject
            {
                ["providers"] = new JsonObject
                {
                    [Provider] = new JsonObject { ["issuer"] = provider.Url.GetLeftPart(UriPartial.Authority), ["clientId"] = "gateway", ["clientSecret"] = "s3cret", ["domains"] = "example.com" },
                },
            },
        };
        Gateway = Add(await GatewayProcess.StartAsync(config));
        Chromium = Add(await Chromium.StartAsync());
    }

    public async ValueTask DisposeAsync()
    {
        while (_parts.TryPop(out var part))
        {
            await part.DisposeAsync();
        }
    }

    /// <summary>Runs a client, and does what it wants of its person.</summary>
    internal async Task<NodeRun> RunAsync(string script, IEnumerable<string> arguments, Opener opener, string client, bool allows = true)
    {
        var running = NodeTool.RunAsync(script, arguments, opener.Environment);
        var address = await opener.OpenedByAsync(running);
        await using var person = await Person.AtAsync(Chromium, Gateway.BaseUrl);
        await person.DecideAsync(address, Provider, client, allows);
        return await running;
    }

    private T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Push(part);
        return part;
    }
}
