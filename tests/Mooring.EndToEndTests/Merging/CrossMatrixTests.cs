using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Merging;

/// <summary>
/// Clients of each protocol version at servers of each, over HTTP and stdio, and every feature, at each server alone and at all of them behind one
/// <c>/mcp</c>: what both versions have works, what one of them lacks is refused or left out as docs/protocol-bridge.md says, with the place in the
/// specification. Clients and servers are strict and without a library (tests/fixtures/bridge).
/// With MOORING_WRITE=1 the table in that page is written instead of compared.
/// </summary>
public sealed class CrossMatrixTests
{
    private const string Mark = "<!-- matrix: written by CrossMatrixTests -->";
    private const string End = "<!-- end -->";
    private const string Stateless = "2026-07-28";
    private const string PagesCame = "pages came with 2025-11-25 (client/elicitation, URL mode)";
    private const string NoPages = $"the client cannot be asked: {PagesCame}";
    private const string TasksCame = "tasks came with 2025-11-25 (basic/utilities/tasks)";
    private const string OnlyObjects = "others than objects came with 2026-07-28 (changelog, minor 10)";

    private static readonly string[] Versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", Stateless];

    private static readonly string Page = Path.Combine(Repository.Root, "docs", "protocol-bridge.md");

    /// <summary>A feature, the versions that have it, and what comes of it where a side does not.</summary>
    /// <param name="Name">Of the row in tests/fixtures/bridge/rows.mjs.</param>
    /// <param name="Title">In the table.</param>
    /// <param name="Since">The first version whose servers have it.</param>
    /// <param name="Instead">What a client sees at a server that has it, by the client's version, where it is not all of it; null where it works. Nothing seen: it cannot be tried.</param>
    /// <param name="IsGone">Servers of 2026-07-28 have it no more.</param>
    private sealed record Row(string Name, string Title, string Since, Func<string, string, (string Seen, string Why)?> Instead, bool IsGone = false)
    {
        public bool IsAt(string server) => !Before(server, Since) && !(IsGone && server == Stateless);

        public string Servers => IsGone ? Since == Versions[^2] ? Since : $"before {Stateless}" : Since == Versions[0] ? "all" : Since == Stateless ? Stateless : $"from {Since}";

        /// <summary>What clients of a version see at the servers that have it: in one word where that is the same at all of them, else by their versions.</summary>
        public string Cell(string client)
        {
            var groups = Versions.Where(IsAt).GroupBy(server => Instead(client, server)?.Why ?? "works").OrderBy(group => group.Key == "works" ? 0 : 1).ToList();
            return groups.Count == 1 ? groups[0].Key
                : string.Join("; ", groups.Select((group, i) => i == 1 && groups.Count == 2 ? $"else {group.Key}" : $"{group.Key} at {string.Join(" and ", group)}"));
        }
    }

    private static readonly Row[] Rows =
    [
        Whole("greeting", "the server's instructions"),
        Whole("tools", "tools, in pages"),
        Whole("call", "a call"),
        Whole("absentArguments", "a call without `arguments`"),
        Whole("toolError", "an error of a tool"),
        Whole("unknownTool", "an error of the protocol"),
        Whole("progress", "progress"),
        Whole("logging", "log messages of a call, from a level on"),
        Whole("cancellation", "cancellation"),
        Whole("prompts", "prompts"),
        Whole("resources", "resources and templates"),
        Whole("notFound", "a resource that is not there"),
        Whole("completion", "completion"),
        Whole("subscription", "changes of a resource"),
        Whole("unsubscription", "no more of them"),
        Whole("listChanges", "changes of the list of tools"),
        Whole("promptChanges", "changes of the list of prompts"),
        Whole("resourceChanges", "changes of the list of resources"),
        new("caching", "`resultType`, `ttlMs` and `cacheScope`", Versions[0], (client, _) => client == Stateless ? null : Not("they came with 2026-07-28 (changelog, major 8, minor 5)")),
        Whole("mirrored", "arguments in headers (`Mcp-Param-*`)"),
        new("end", "the end of a session with `DELETE`; 405 for it and `GET` without sessions", Versions[0], (client, _) => client == Versions[0] ? Not("it ends with its stream (basic/transports, HTTP with SSE)") : null),
        new("ping", "ping", Versions[0], (client, _) => client == Stateless ? Not("removed (changelog, major 5)") : null),
        new("serverPing", "ping of the server", Versions[0], (_, _) => null, IsGone: true),
        new("batch", "batches", Versions[0], (client, _) => client == "2025-03-26" ? null : Not(Before(client, "2025-03-26") ? "they came with 2025-03-26 (changelog, major 3)" : "removed with 2025-06-18 (changelog, major 1)")),
        new("resumption", "the rest of a stream that broke", Versions[0], (client, _) => client switch
        {
            "2024-11-05" => Not("events have no ids (basic/transports, HTTP with SSE)"),
            Stateless => Not("removed (changelog, major 9)"),
            _ => null,
        }),
        Whole("sampling", "sampling during a call"),
        new("samplingUndeclared", "sampling that the client did not declare", Versions[0], (_, server) => (Missing(server), "refused by the server")),
        Whole("roots", "roots during a call"),
        new("rootsUndeclared", "roots that the client did not declare", Versions[0], (_, server) => (Missing(server), "refused by the server")),
        new("askedAnyway", "sampling that a server asks for all the same", Versions[0], (client, server) => (client == Stateless ? "error -32021" : server == Stateless ? "error -32603" : "error -32601", "refused")),
        new("askedLater", "roots outside of calls", Versions[0], (client, _) => client == Stateless ? ("error -32601", "refused: questions stand in results (basic/patterns/mrtr)") : null, IsGone: true),
        new("rootsChanges", "changes of the roots", Versions[0], (client, _) => client == Stateless ? Not("removed (changelog, major 5)") : null, IsGone: true),
        new("elicitation", "a form during a call", "2025-06-18", (client, server) => Before(client, "2025-06-18") ? (Missing(server), "the client cannot be asked: forms came with 2025-06-18 (client/elicitation)") : null),
        new("urlElicitation", "a page to visit during a call", "2025-11-25", (client, server) => Before(client, "2025-11-25") ? (Missing(server), NoPages) : null),
        new("urlComplete", "that it was visited", "2025-11-25", (client, _) => Before(client, "2025-11-25") ? Not(NoPages) : client == Stateless ? Not("removed (changelog, minor 11)") : null),
        new("urlNeeded", "a page to visit before a call", "2025-11-25", (client, _) => Before(client, "2025-11-25") ? ("error with the address", $"an error with the address: {PagesCame}") : null, IsGone: true),
        new("audio", "audio", "2025-03-26", (client, _) => Before(client, "2025-03-26") ? ("text instead", "a text that says so: it came with 2025-03-26 (server/tools, Audio Content)") : null),
        new("structured", "structured results", "2025-06-18", (_, _) => null),
        new("outputSchema", "their schema in the list", "2025-06-18", (_, _) => null),
        new("resourceLink", "links to resources in results", "2025-06-18", (client, _) => Before(client, "2025-06-18") ? ("text instead", "a text with the link: they came with 2025-06-18 (server/tools, Resource Links)") : null),
        new("structuredList", "structured results that are no object", Stateless, (client, _) => client is "2025-06-18" or "2025-11-25" ? ("left out", $"the text alone: {OnlyObjects}") : null),
        new("outputSchemaList", "their schema in the list", Stateless, (client, _) => client is "2025-06-18" or "2025-11-25" ? ("left out", $"left out: {OnlyObjects}") : null),
        new("task", "a long call as a task", Versions[0], (client, server) => AsTask(client, server, "answered done", "the answer of the call")),
        new("taskAsks", "what a task asks", Versions[0], (client, server) => AsTask(client, server, "answered file:///work", "asked during the call")),
        new("taskCancelled", "cancellation of a task", Versions[0], (client, server) => AsTask(client, server, "cancelled as a call", "cancelled as a call")),
    ];

    [Fact]
    public async Task EveryVersion_AtEveryVersion_HasEveryFeatureThatBothHave()
    {
        var script = Path.Combine(Repository.Root, "tests", "fixtures", "bridge", "server.mjs");
        Stack<IAsyncDisposable> parts = new();
        List<Relay> legs = [];
        try
        {
            List<(string Name, JsonObject Entry)> entries = [];
            foreach (var version in Versions)
            {
                var server = Add(await NodeTool.StartAsync(script, "--version", version));
                var http = Record(await Relay.ToAsync($"v{version}-http", server.Url));
                var stdio = Record(Relay.ForCommand($"v{version}-stdio", NodeTool.Program, script, "--version", version, "--stdio"));
                entries.Add(($"v{version}-http", WithTasks(GatewayProcess.Remote(http.Url, version == Versions[0] ? "sse" : null))));
                entries.Add(($"v{version}-stdio", WithTasks(stdio.Server)));
            }

            var gateway = Add(await GatewayProcess.StartAsync(GatewayProcess.Config([.. entries])));
            var relay = Record(await Relay.ToAsync("client", gateway.BaseUrl));
            string[] names = [.. entries.Select(entry => entry.Name)];

            var alone = await Task.WhenAll(Versions.Select(client => SeeAsync(client, relay.Url, names)));
            var merged = await Task.WhenAll(Versions.Select(client => SeeAsync(client, relay.Url, names, "--merged")));

            List<string> differences = [.. Differences("alone", alone), .. Differences("merged", merged)];
            Assert.True(differences.Count == 0, $"{string.Join('\n', differences)}\n{gateway.Process.Describe("the gateway said")}");
            List<string> invalid = [];
            foreach (var leg in legs)
            {
                invalid.AddRange((await leg.InvalidAsync(IsNothingToItsVersion)).Take(8));
            }

            Assert.True(invalid.Count == 0, $"Invalid messages:\n{string.Join('\n', invalid)}");
            Keep(Table());
        }
        finally
        {
            while (parts.TryPop(out var part))
            {
                await part.DisposeAsync();
            }
        }

        Relay Record(Relay relay)
        {
            legs.Add(relay);
            return Add(relay);
        }

        T Add<T>(T part)
            where T : IAsyncDisposable
        {
            parts.Push(part);
            return part;
        }
    }

    /// <summary>Structured results and their schemas came with 2025-06-18. Before that nobody reads them, whatever they are; the library judges them by the newest version all the same.</summary>
    private static bool IsNothingToItsVersion(JsonNode line) =>
        string.CompareOrdinal((string?)line["version"], "2025-06-18") < 0
        && line["errors"]!.AsArray().All(error => (string)error! is var what && what.StartsWith("zod ", StringComparison.Ordinal) && (what.Contains("structuredContent", StringComparison.Ordinal) || what.Contains("outputSchema", StringComparison.Ordinal)));

    private static JsonObject WithTasks(JsonObject entry)
    {
        // Far below what the calls take that are to be tasks.
        entry["taskAfter"] = "100ms";
        return entry;
    }

    private static async Task<JsonObject> SeeAsync(string client, Uri gateway, IReadOnlyList<string> servers, params string[] more)
    {
        var script = Path.Combine(Repository.Root, "tests", "fixtures", "bridge", "matrix.mjs");
        var run = await NodeTool.RunAsync(script, ["--version", client, "--gateway", gateway.AbsoluteUri, "--servers", string.Join(',', servers), .. more]);
        return JsonNode.Parse(run.Json().GetRawText())!.AsObject();
    }

    private static IEnumerable<string> Differences(string route, IReadOnlyList<JsonObject> seen) =>
        from pair in Versions.Zip(seen)
        from server in Versions
        from transport in new[] { "http", "stdio" }
        let there = pair.Second[$"v{server}-{transport}"]!.AsObject()
        from row in Rows
        let expected = Expected(row, pair.First, server)
        let came = (string?)there[row.Name] ?? ""
        where came != expected
        select $"{row.Name}, client {pair.First}, server {server} over {transport}, {route}: {came} instead of {expected}";

    private static string Expected(Row row, string client, string server) =>
        row.Instead(client, server) is { Seen: "" } ? "" : row.IsAt(server) ? row.Instead(client, server)?.Seen ?? "works" : "absent";

    private static Row Whole(string name, string title) => new(name, title, Versions[0], (_, _) => null);

    /// <summary>It cannot be tried.</summary>
    private static (string Seen, string Why)? Not(string why) => ("", why);

    /// <summary>Tasks of 2025-11-25 are at servers of that version and of the extension; those of the extension the gateway has at every server.</summary>
    private static (string Seen, string Why)? AsTask(string client, string server, string seen, string instead) =>
        Before(client, "2025-11-25") ? Not(TasksCame)
        : client == Stateless || !Before(server, "2025-11-25") ? null
        : (seen, $"{instead}: {TasksCame}");

    private static bool Before(string version, string since) => string.CompareOrdinal(version, since) < 0;

    /// <summary>What servers say to a client that cannot do what they need; the one of the version that has a code for it says that.</summary>
    private static string Missing(string server) => server == Stateless ? "error -32021" : "error -32600";

    /// <summary>A row for each feature, a column for each version of clients; a cell says what comes of it, and at which servers, where that differs.</summary>
    private static string Table()
    {
        var text = new StringBuilder("| | servers that have it |");
        text.Append(string.Concat(Versions.Select(version => $" client {version} |"))).Append("\n|---|---|").Append(string.Concat(Versions.Select(_ => "---|"))).Append('\n');
        foreach (var row in Rows)
        {
            text.Append($"| {row.Title} | {row.Servers} |");
            foreach (var client in Versions)
            {
                text.Append($" {row.Cell(client)} |");
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    private static void Keep(string table)
    {
        var text = File.ReadAllText(Page);
        var from = text.IndexOf(Mark, StringComparison.Ordinal) + Mark.Length;
        var to = text.IndexOf(End, from, StringComparison.Ordinal);
        var wanted = $"{text[..from]}\n\n{table}\n{text[to..]}";
        if (Environment.GetEnvironmentVariable("MOORING_WRITE") == "1")
        {
            File.WriteAllText(Page, wanted);
        }

        Assert.Equal(wanted, File.ReadAllText(Page));
    }
}
