using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>
/// The recording relay on one leg (tests/fixtures/relay): passes everything on and judges each message by the validators of the
/// official packages. Its maker disposes it.
/// </summary>
internal sealed class Relay : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mooring-relay-");
    private readonly string _leg;
    private NodeServer? _http;

    private Relay(string leg) => _leg = leg;

    /// <summary>Where to connect instead of the far end; only over HTTP.</summary>
    public Uri Url => _http!.Url;

    /// <summary>What to configure instead of the program; only over stdio.</summary>
    public JsonObject Server { get; private set; } = null!;

    private string LogFile => Path.Combine(_folder.FullName, "messages.jsonl");

    /// <summary>Starts a relay in front of an HTTP endpoint of either transport.</summary>
    public static async Task<Relay> ToAsync(string leg, Uri url)
    {
        var relay = new Relay(leg);
        relay._http = await NodeTool.StartAsync(Repository.Relay, "--to", url.AbsoluteUri, "--leg", leg, "--log", relay.LogFile);
        return relay;
    }

    /// <summary>A relay around a program that speaks on its standard streams; whoever starts that program starts the relay.</summary>
    public static Relay ForCommand(string leg, params string[] command)
    {
        var relay = new Relay(leg);
        relay.Server = GatewayProcess.Command(
            NodeTool.Program, [Repository.Relay, "--leg", leg, "--log", relay.LogFile, "--stdio", "--", .. command]);
        return relay;
    }

    /// <summary>Fails if a message was not valid, or none passed.</summary>
    public async Task AssertEveryMessageValidAsync()
    {
        var invalid = await InvalidAsync(_ => false);
        Assert.True(invalid.Count == 0, $"{invalid.Count} messages on the leg of the {_leg} are invalid, the first:\n{string.Join('\n', invalid.Take(5))}");
    }

    /// <summary>The messages that were not valid, with what is wrong. Fails if none passed at all.</summary>
    /// <param name="mayBe">Says of a line of the record (<c>{leg, from, session, version, message, errors}</c>) that it is wrong on purpose.</param>
    public async Task<IReadOnlyList<string>> InvalidAsync(Predicate<JsonNode> mayBe)
    {
        Assert.True(File.Exists(LogFile), $"No message passed on the leg of the {_leg}.");
        var lines = await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken);
        return [.. lines.Where(line => IsInvalid(JsonNode.Parse(line)!))];

        bool IsInvalid(JsonNode line) => line["errors"]!.AsArray().Count > 0 && !mayBe(line);
    }

    /// <summary>The versions that were negotiated so far, with an <c>initialize</c> each.</summary>
    public Task<IReadOnlyList<string>> VersionsAsync() => VersionsAsync(message => (message["result"] as JsonObject)?["protocolVersion"]);

    /// <summary>The versions that requests named for themselves so far, as those without sessions do.</summary>
    public Task<IReadOnlyList<string>> VersionsOfRequestsAsync() =>
        VersionsAsync(message => ((message["params"] as JsonObject)?["_meta"] as JsonObject)?["io.modelcontextprotocol/protocolVersion"]);

    private async Task<IReadOnlyList<string>> VersionsAsync(Func<JsonObject, JsonNode?> versionIn)
    {
        var lines = File.Exists(LogFile) ? await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken) : [];
        return
        [
            .. from line in lines
               let message = JsonNode.Parse(line)!["message"] as JsonObject
               let version = message is null ? null : (string?)versionIn(message)
               where version is not null
               select version,
        ];
    }

    public async ValueTask DisposeAsync()
    {
        if (_http is not null)
        {
            await _http.DisposeAsync();
        }

        _folder.Delete(recursive: true);
    }
}
