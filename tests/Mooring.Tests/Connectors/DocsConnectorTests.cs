using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Mooring.Connectors;
using Mooring.Connectors.Docs;
using Xunit;

namespace Mooring.Tests.Connectors;

/// <summary>The docs connector as a client sees it, over the byte streams the gateway uses.</summary>
public sealed class DocsConnectorTests : IAsyncLifetime
{
    private readonly ContentFolder _folder = new();
    private DocsConnector _docs = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _folder.Write("index.mdx", "---\ntitle: Welcome\n---\nStart here.")
            .Write("guides/install.mdx", "---\ntitle: Install\ndescription: From zero\ntags: [a]\n---\n# Install\n\n<include>../.includes/note.mdx</include>\n\n## Behind a proxy\n\nSet the \"proxy\" — `HTTPS_PROXY`.\n")
            .Write(".includes/note.mdx", "A shared **note**.\n")
            .Write("guides/upgrade.md", "# Upgrade\n\nTo a newer release.");
        _docs = new DocsConnector(new JsonObject { ["path"] = "content" }, Path.GetDirectoryName(_folder.Path)!, new FakeClock(), NullLoggerFactory.Instance);
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        await _docs.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("2024-11-05")]
    [InlineData("2025-03-26")]
    [InlineData("2025-06-18")]
    [InlineData("2025-11-25")]
    public async Task Initialize_EachVersionWithSessions_IsSpoken(string version)
    {
        await using var session = await Session.OpenAsync(_docs, version);

        Assert.Equal(version, session.Client.NegotiatedProtocolVersion);
        Assert.Equal("mooring-docs", session.Client.ServerInfo!.Name);
        Assert.Matches(@"^\d+\.\d+\.\d+", session.Client.ServerInfo!.Version);
        Assert.Contains("docs_search", session.Client.ServerInstructions!, StringComparison.Ordinal);
        Assert.NotNull(session.Client.ServerCapabilities.Tools);
        Assert.NotNull(session.Client.ServerCapabilities.Prompts);
        Assert.Null(session.Client.ServerCapabilities.Resources);
        Assert.Equal(3, (await session.Client.ListToolsAsync(cancellationToken: Cancel)).Count);
    }

    [Fact]
    public async Task Initialize_TitleAndInstructionsSet_AreTold()
    {
        await using var docs = new DocsConnector(
            new JsonObject { ["path"] = _folder.Path, ["title"] = "Our handbook", ["instructions"] = "Ask me." }, "/", new FakeClock(), NullLoggerFactory.Instance);
        await using var session = await Session.OpenAsync(docs);

        Assert.Equal(("Our handbook", "Our handbook"), (session.Client.ServerInfo!.Name, session.Client.ServerInfo!.Title));
        Assert.Equal("Ask me.", session.Client.ServerInstructions);
    }

    [Fact]
    public async Task ListTools_AllThree_AreReadOnlyAndSayWhatTheyTakeAndGive()
    {
        await using var session = await Session.OpenAsync(_docs);

        var tools = await session.Client.ListToolsAsync(cancellationToken: Cancel);

        Assert.Equal(["docs_search", "docs_getPage", "docs_listRoutes"], tools.Select(tool => tool.Name));
        Assert.All(tools, tool =>
        {
            var annotations = tool.ProtocolTool.Annotations!;
            Assert.True(annotations.ReadOnlyHint);
            Assert.True(annotations.IdempotentHint);
            Assert.False(annotations.DestructiveHint);
            Assert.False(annotations.OpenWorldHint);
            Assert.Equal("object", tool.ProtocolTool.InputSchema.GetProperty("type").GetString());
            Assert.Equal("object", tool.ProtocolTool.OutputSchema!.Value.GetProperty("type").GetString());
        });
        Assert.Equal(25, tools[0].ProtocolTool.InputSchema.GetProperty("properties").GetProperty("limit").GetProperty("maximum").GetInt32());
    }

    [Fact]
    public async Task Search_Words_GivesTheSectionInTextAndStructure()
    {
        await using var session = await Session.OpenAsync(_docs);

        var hit = (await StructuredAsync(session, "docs_search", new() { ["query"] = "https proxy" })).GetProperty("hits")[0];

        Assert.Equal("/guides/install", hit.GetProperty("route").GetString());
        Assert.Equal("Install", hit.GetProperty("title").GetString());
        Assert.Equal("guides/install.mdx", hit.GetProperty("filePath").GetString());
        Assert.Equal("/guides/install#behind-a-proxy", hit.GetProperty("link").GetString());
        Assert.Equal("Behind a proxy", hit.GetProperty("heading").GetString());
        Assert.Contains("Set the \"proxy\" — HTTPS_PROXY.", hit.GetProperty("excerpt").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, hit.GetProperty("score").GetDouble());
    }

    [Fact]
    public async Task Search_LimitAndNothingFound_AreKept()
    {
        await using var session = await Session.OpenAsync(_docs);

        Assert.Equal(1, (await StructuredAsync(session, "docs_search", new() { ["query"] = "install upgrade", ["limit"] = 1 })).GetProperty("hits").GetArrayLength());
        foreach (var query in new[] { "xylophone", "😀" })
        {
            var nothing = await StructuredAsync(session, "docs_search", new() { ["query"] = query });
            Assert.Equal(0, nothing.GetProperty("hits").GetArrayLength());
            Assert.NotEmpty(nothing.GetProperty("note").GetString()!);
        }
    }

    [Theory]
    [InlineData("/guides/install", null)]
    [InlineData("guides/install/", null)]
    [InlineData("/guides/install#behind-a-proxy", null)]
    [InlineData("https://docs.example.com/guides/install?x=1", null)]
    [InlineData(null, "guides/install.mdx")]
    [InlineData("/wrong", "./guides/install.mdx")]
    public async Task GetPage_ByRouteOrFile_GivesAllOfIt(string? route, string? filePath)
    {
        await using var session = await Session.OpenAsync(_docs);

        var page = await StructuredAsync(session, "docs_getPage", new() { ["route"] = route, ["filePath"] = filePath });

        Assert.Equal("/guides/install", page.GetProperty("route").GetString());
        Assert.Equal("""{"title":"Install","description":"From zero","tags":["a"]}""", page.GetProperty("frontmatter").GetRawText());
        Assert.Equal("# Install\n\nA shared **note**.\n\n## Behind a proxy\n\nSet the \"proxy\" — `HTTPS_PROXY`.\n", page.GetProperty("mdx").GetString());
        Assert.Equal("Install\nA shared note.\nBehind a proxy\nSet the \"proxy\" — HTTPS_PROXY.", page.GetProperty("text").GetString());
    }

    [Fact]
    public async Task GetPage_PartsSwitchedOff_AreLeftOut()
    {
        await using var session = await Session.OpenAsync(_docs);

        var page = await StructuredAsync(session, "docs_getPage", new() { ["route"] = "/", ["include"] = new Dictionary<string, object?> { ["mdx"] = false, ["frontmatter"] = false } });

        Assert.Equal(["route", "title", "filePath", "text"], page.EnumerateObject().Select(property => property.Name));
    }

    [Fact]
    public async Task GetPage_WrongRoute_IsAnErrorThatNamesTheNearest()
    {
        await using var session = await Session.OpenAsync(_docs);

        var message = await ErrorAsync(session, "docs_getPage", new() { ["route"] = "/guide/instal" });

        Assert.StartsWith("There is no page '/guide/instal'. The nearest routes are: /guides/install, ", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "/ /guides/install /guides/upgrade")]
    [InlineData("/guides", "/guides/install /guides/upgrade")]
    [InlineData("guides/u", "/guides/upgrade")]
    [InlineData("/none", "")]
    public async Task ListRoutes_Prefix_ListsInOrder(string? prefix, string routes)
    {
        await using var session = await Session.OpenAsync(_docs);

        var answer = await StructuredAsync(session, "docs_listRoutes", new() { ["prefix"] = prefix });

        Assert.Equal(routes, string.Join(' ', answer.GetProperty("routes").EnumerateArray().Select(route => route.GetProperty("route").GetString())));
    }

    [Theory]
    [InlineData("docs_search", """{}""", "query is missing")]
    [InlineData("docs_search", """{"query":"  "}""", "query must not be empty")]
    [InlineData("docs_search", """{"query":5,"limit":"8"}""", "query must be a text; limit must be a whole number from 1 to 25")]
    [InlineData("docs_search", """{"query":"a","limit":26}""", "limit must be")]
    [InlineData("docs_search", """{"query":"a","limit":1.5}""", "limit must be")]
    [InlineData("docs_getPage", """{}""", "route or filePath is needed")]
    [InlineData("docs_getPage", """{"route":"/","include":[]}""", "include must be an object")]
    [InlineData("docs_getPage", """{"route":["/"],"include":{"mdx":"no"}}""", "route must be a text; include.mdx must be true or false")]
    [InlineData("docs_getPage", """{"route":"/../../etc/passwd"}""", "There is no page '/../../etc/passwd'")]
    [InlineData("docs_getPage", """{"filePath":"../outside/secret.md"}""", "There is no page '../outside/secret.md'")]
    [InlineData("docs_listRoutes", """{"prefix":true}""", "prefix must be a text")]
    public async Task Call_BadArguments_AreAnErrorThatSaysWhatToMend(string tool, string arguments, string expected)
    {
        await using var session = await Session.OpenAsync(_docs);

        var message = await ErrorAsync(session, tool, JsonSerializer.Deserialize<Dictionary<string, object?>>(arguments)!);

        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_QueryTooLong_IsAnError()
    {
        await using var session = await Session.OpenAsync(_docs);

        Assert.Contains("at most 1000", await ErrorAsync(session, "docs_search", new() { ["query"] = new string('a', 1001) }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_UnknownToolOrPrompt_IsAnErrorOfTheProtocol()
    {
        await using var session = await Session.OpenAsync(_docs);

        var tool = await Assert.ThrowsAsync<McpProtocolException>(async () => await session.Client.CallToolAsync("docs.search", cancellationToken: Cancel));
        var prompt = await Assert.ThrowsAsync<McpProtocolException>(async () => await session.Client.GetPromptAsync("none", cancellationToken: Cancel));

        Assert.Equal((McpErrorCode.InvalidParams, McpErrorCode.InvalidParams), (tool.ErrorCode, prompt.ErrorCode));
        Assert.Contains("docs_search", tool.Message, StringComparison.Ordinal);
        Assert.Contains("answer_from_docs", prompt.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prompts_Both_NameOnlyToolsThatExist()
    {
        await using var session = await Session.OpenAsync(_docs);
        var tools = (await session.Client.ListToolsAsync(cancellationToken: Cancel)).Select(tool => tool.Name).ToHashSet();

        var prompts = await session.Client.ListPromptsAsync(cancellationToken: Cancel);
        var question = Text(await session.Client.GetPromptAsync("answer_from_docs", new Dictionary<string, object?> { ["question"] = "How so?" }, cancellationToken: Cancel));
        var snippet = Text(await session.Client.GetPromptAsync("write_mdx_snippet", new Dictionary<string, object?> { ["topic"] = "Pipes" }, cancellationToken: Cancel));

        Assert.Equal(["answer_from_docs(question!)", "write_mdx_snippet(topic!,style)"], prompts.Select(prompt =>
            $"{prompt.Name}({string.Join(',', prompt.ProtocolPrompt.Arguments!.Select(argument => argument.Name + (argument.Required == true ? "!" : "")))})"));
        Assert.Contains("How so?", question, StringComparison.Ordinal);
        Assert.Contains("Topic: Pipes\nStyle: concise ", snippet.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        foreach (var text in new[] { question, snippet })
        {
            Assert.Contains("docs_search", text, StringComparison.Ordinal);
            Assert.Contains("docs_getPage", text, StringComparison.Ordinal);
            Assert.All(
                text.Split([' ', ',', '.', ';', ':', '\r', '\n']).Where(word => word.StartsWith("docs", StringComparison.Ordinal)),
                name => Assert.Contains(name, tools));
        }
    }

    [Theory]
    [InlineData("answer_from_docs", """{}""", "question is missing")]
    [InlineData("write_mdx_snippet", """{"topic":"x","style":"poem"}""", "style must be one of concise, tutorial, reference")]
    public async Task GetPrompt_BadArguments_AreInvalidParams(string prompt, string arguments, string expected)
    {
        await using var session = await Session.OpenAsync(_docs);

        var error = await Assert.ThrowsAsync<McpProtocolException>(async () => await session.Client.GetPromptAsync(
            prompt, JsonSerializer.Deserialize<Dictionary<string, object?>>(arguments)!, cancellationToken: Cancel));

        Assert.Equal(McpErrorCode.InvalidParams, error.ErrorCode);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_ManySessionsAtOnce_ShareOneIndex()
    {
        var sessions = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Session.OpenAsync(_docs)));

        var answers = await Task.WhenAll(sessions.Select(session => StructuredAsync(session, "docs_search", new() { ["query"] = "upgrade" })));

        Assert.All(answers, answer => Assert.Equal("/guides/upgrade", answer.GetProperty("hits")[0].GetProperty("route").GetString()));
        foreach (var session in sessions)
        {
            await session.DisposeAsync();
        }

        Assert.Equal(3, await _docs.RefreshAsync(Cancel));
    }

    [Fact]
    public async Task Serve_LinesThatAreNoMessages_SessionGoesOn()
    {
        var toServer = new Pipe();
        var toClient = new Pipe();
        var serving = _docs.ServeAsync(toServer.Reader.AsStream(), toClient.Writer.AsStream(), Cancel);
        using var answers = new StreamReader(toClient.Reader.AsStream());

        await toServer.Writer.WriteAsync("not json\n[]\n{}\n{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"ping\"}\n"u8.ToArray(), Cancel);

        string? line;
        do
        {
            line = await answers.ReadLineAsync(Cancel);
        }
        while (line is not null && !line.Contains("\"x\"", StringComparison.Ordinal));
        Assert.Contains("\"result\"", line, StringComparison.Ordinal);

        await toServer.Writer.CompleteAsync();
        await serving;
    }

    [Fact]
    public async Task Serve_InputEndsOrCancelled_Returns()
    {
        var ended = new Pipe();
        await ended.Writer.CompleteAsync();
        await _docs.ServeAsync(ended.Reader.AsStream(), Stream.Null, Cancel);

        using var stop = new CancellationTokenSource();
        var serving = _docs.ServeAsync(new Pipe().Reader.AsStream(), Stream.Null, stop.Token);
        await stop.CancelAsync();
        await serving;
    }

    [Fact]
    public void Validate_EverythingWrong_ReportsEverything()
    {
        var problems = DocsConnector.Validate(
            (JsonObject)JsonNode.Parse("""{"path":"./none","title":5,"instructions":"","include":["ok/**",7,"../x"],"exclude":"{a","maxFileSize":"9GB","paths":"x"}""")!, _folder.Path);

        Assert.Equal(["paths", "path", "title", "instructions", "include[1]", "include[2]", "exclude", "maxFileSize"], problems.Select(problem => problem.Split(':')[0]));
        Assert.Contains(Path.Combine(_folder.Path, "none"), problems[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{}""", "path: missing")]
    [InlineData("""{"path":null}""", "path: must be a text")]
    [InlineData("""{"path":"index.mdx"}""", "is a file")]
    [InlineData("""{"path":".","maxFileSize":100}""", "maxFileSize: 100 is outside")]
    [InlineData("""{"path":".","maxFileSize":"99999999999999999999"}""", "maxFileSize: must be")]
    [InlineData("""{"path":".","include":null}""", "include: must be")]
    public void Validate_OneThingWrong_SaysWhat(string settings, string problem) =>
        Assert.Contains(problem, Assert.Single(DocsConnector.Validate((JsonObject)JsonNode.Parse(settings)!, _folder.Path)), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"path":"."}""")]
    [InlineData("""{"path":"guides","title":"T","instructions":"I","include":"**/*.md","exclude":["a/**"],"maxFileSize":2048}""")]
    [InlineData("""{"path":"./guides/..","maxFileSize":"2 MB"}""")]
    [InlineData("""{"path":".","maxFileSize":"512kB"}""")]
    public void Validate_AllRight_IsSilent(string settings) => Assert.Empty(DocsConnector.Validate((JsonObject)JsonNode.Parse(settings)!, _folder.Path));

    [Fact]
    public async Task Factory_NamesOfTheConfiguration_MakeConnectors()
    {
        await using var services = new ServiceCollection().AddLogging().AddMooringConnectors().BuildServiceProvider();
        var factory = services.GetRequiredService<ConnectorFactory>();

        await using var docs = Assert.IsType<DocsConnector>(factory.Create("docs", new JsonObject { ["path"] = "." }, _folder.Path));
        var unknown = Assert.Throws<ArgumentException>(() => factory.Create("dcos", [], _folder.Path));
        var wrong = Assert.Throws<ArgumentException>(() => factory.Create("docs", new JsonObject { ["path"] = 1, ["x"] = 1 }, _folder.Path));

        Assert.Equal("docs", docs.Name);
        Assert.Contains("There is no connector 'dcos'. Known: docs.", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("x: unknown setting", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("path: must be a text, not a number", wrong.Message, StringComparison.Ordinal);
        Assert.Equal(["There is no connector 'dcos'. Known: docs."], ConnectorFactory.Validate("dcos", [], _folder.Path));
    }

    private static string Text(GetPromptResult prompt) => Assert.IsType<TextContentBlock>(Assert.Single(prompt.Messages).Content).Text;

    /// <summary>Calls a tool and checks that its text says the same as its structured content.</summary>
    private static async Task<JsonElement> StructuredAsync(Session session, string tool, Dictionary<string, object?> arguments)
    {
        var result = await session.Client.CallToolAsync(tool, arguments, cancellationToken: Cancel);
        var text = Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text;
        Assert.NotEqual(true, result.IsError);
        Assert.NotNull(result.StructuredContent);
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(text), result.StructuredContent.Value), text);
        return result.StructuredContent.Value;
    }

    private static async Task<string> ErrorAsync(Session session, string tool, Dictionary<string, object?> arguments)
    {
        var result = await session.Client.CallToolAsync(tool, arguments, cancellationToken: Cancel);
        Assert.True(result.IsError);
        Assert.Null(result.StructuredContent);
        return Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text;
    }

    /// <summary>One client of the official SDK, joined to one session of the connector by two pipes.</summary>
    private sealed class Session : IAsyncDisposable
    {
        private readonly Pipe _toServer = new();
        private readonly Pipe _toClient = new();
        private Task _serving = null!;

        public McpClient Client { get; private set; } = null!;

        public static async Task<Session> OpenAsync(DocsConnector docs, string version = "2025-11-25")
        {
            var session = new Session();
            session._serving = docs.ServeAsync(session._toServer.Reader.AsStream(), session._toClient.Writer.AsStream(), CancellationToken.None);
            session.Client = await McpClient.CreateAsync(
                new StreamClientTransport(session._toServer.Writer.AsStream(), session._toClient.Reader.AsStream()),
                new McpClientOptions { ProtocolVersion = version },
                cancellationToken: Cancel);
            return session;
        }

        public async ValueTask DisposeAsync()
        {
            await Client.DisposeAsync();
            await _toServer.Writer.CompleteAsync();
            await _serving;
        }
    }
}
