using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Mooring.Upstreams;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Serves a folder of Markdown and MDX files: search, pages and routes as tools, and two prompts. Any number of sessions run at once
/// over one index. Whoever makes it disposes it, after the sessions have ended.
/// </summary>
public sealed class DocsConnector : IConnector, IAsyncDisposable
{
    public const string ConnectorName = "docs";

    private readonly DocsSettings _settings;
    private readonly DocsIndex _index;
    private readonly DocsCalls _calls;
    private readonly ILoggerFactory _loggers;

    /// <param name="settings">
    /// <c>path</c> (required), <c>title</c>, <c>instructions</c>, <c>include</c>, <c>exclude</c>, <c>maxFileSize</c>; see docs/configuration.md.
    /// </param>
    /// <param name="baseDirectory">What a relative <c>path</c> is relative to, commonly the folder of the configuration file.</param>
    /// <exception cref="ArgumentException">The settings are not right; the message names every problem.</exception>
    public DocsConnector(JsonObject settings, string baseDirectory, TimeProvider time, ILoggerFactory loggers)
    {
        (_settings, var problems) = DocsSettings.Read(settings, baseDirectory);
        if (problems.Count > 0)
        {
            throw new ArgumentException($"The settings of the docs connector are not right: {string.Join("; ", problems)}.", nameof(settings));
        }

        _loggers = loggers;
        _index = new DocsIndex(_settings, time, loggers.CreateLogger<DocsConnector>());
        _calls = new DocsCalls(_index);
    }

    public string Name => ConnectorName;

    /// <summary>Says everything that is wrong with the settings; nothing when they are right. Opens no file.</summary>
    public static IReadOnlyList<string> Validate(JsonObject settings, string baseDirectory) => DocsSettings.Read(settings, baseDirectory).Problems;

    /// <summary>Reads every file again. Sessions see the old pages until the new ones are complete.</summary>
    /// <returns>How many pages there are.</returns>
    public async Task<int?> RefreshAsync(CancellationToken cancel)
    {
        var result = await _index.ReindexAsync(cancel);
        return result.Ok ? result.Count : throw new IOException($"The folder cannot be read; the {result.Count} pages are those from before.");
    }

    public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
    {
        // Lists are answered without the index; it is built meanwhile.
        _index.Start();
        await using var transport = new StreamServerTransport(input, output, ServerName, _loggers);
        await using var server = McpServer.Create(transport, Options(), _loggers);
        try
        {
            await server.RunAsync(cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // How the gateway ends a session.
        }
    }

    public ValueTask DisposeAsync() => _index.DisposeAsync();

    private string ServerName => _settings.Title ?? "mooring-docs";

    private McpServerOptions Options() => new()
    {
        ServerInfo = new Implementation { Name = ServerName, Title = _settings.Title, Version = Version },
        ServerInstructions = _settings.Instructions ?? DefaultInstructions,
        Capabilities = new ServerCapabilities { Tools = new ToolsCapability(), Prompts = new PromptsCapability() },
        Handlers = new McpServerHandlers
        {
            ListToolsHandler = (_, _) => new(new ListToolsResult { Tools = [.. DocsTools.All] }),
            CallToolHandler = (request, cancel) => _calls.CallAsync(request.Params, cancel),
            ListPromptsHandler = (_, _) => new(new ListPromptsResult { Prompts = [.. DocsPrompts.All] }),
            GetPromptHandler = (request, _) => new(DocsPrompts.Get(request.Params)),
        },
    };

    private string DefaultInstructions =>
        $"{(_settings.Title is { } title ? $"The documentation \"{title}\"." : "Documentation.")} "
        + $"To answer a question, call {DocsTools.Search} with a few words that matter, then {DocsTools.GetPage} with the route of the best hits, and answer from what "
        + $"they say, with links. {DocsTools.ListRoutes} shows which pages there are. The prompt {DocsPrompts.AnswerFromDocs} does all this for one question; "
        + $"{DocsPrompts.WriteMdxSnippet} drafts a new page in the style of the others.";

    private static string Version { get; } =
        typeof(DocsConnector).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0.0.0";
}
