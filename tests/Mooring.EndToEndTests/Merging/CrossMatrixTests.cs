using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Merging;

/// <summary>
/// Clients of each protocol version at servers of each, over HTTP and stdio, and every feature: what both versions have works, what one of them
/// lacks is refused or left out as docs/protocol-bridge.md says. Clients and servers are strict and without a library (tests/fixtures/bridge).
/// With MOORING_WRITE=1 the table in that page is written instead of compared.
/// </summary>
public sealed class CrossMatrixTests
{
    private const string Mark = "<!-- matrix: written by CrossMatrixTests -->";
    private const string End = "<!-- end -->";
    private const string Stateless = "2026-07-28";

    private static readonly string[] Versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", Stateless];

    private static readonly string Page = Path.Combine(Repository.Root, "docs", "protocol-bridge.md");

    /// <summary>A feature, the versions that have it, and what comes of it where a side does not.</summary>
    /// <param name="Name">Of the row in tests/fixtures/bridge/rows.mjs.</param>
    /// <param name="Title">In the table.</param>
    /// <param name="Since">The first version whose servers have it.</param>
    /// <param name="Instead">What a client sees at a server that has it, by the client's version, where it is not all of it; null where it works.</param>
    private sealed record Row(string Name, string Title, string Since, Func<string, string, (string Seen, string Why)?> Instead);

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
        Whole("listChanges", "changes of the list of tools"),
        new("ping", "ping", Versions[0], (client, _) => client == Stateless ? Lacks : null),
        new("batch", "batches", Versions[0], (client, _) => client != "2025-03-26" ? ("", "only 2025-03-26 has batches") : null),
        new("resumption", "the rest of a stream that broke", Versions[0], (client, _) => client switch
        {
            "2024-11-05" => ("", "events have no ids (basic/transports, HTTP with SSE)"),
            Stateless => ("", "removed (changelog, major 9)"),
            _ => null,
        }),
        Whole("sampling", "sampling during a call"),
        Whole("roots", "roots during a call"),
        new("elicitation", "a form during a call", "2025-06-18", (client, server) => Before(client, "2025-06-18") ? (Missing(server), "the client cannot be asked") : null),
        new("urlElicitation", "a page to visit during a call", "2025-11-25", (client, server) => Before(client, "2025-11-25") ? (Missing(server), "the client cannot be asked") : null),
        new("urlNeeded", "a page to visit before a call", "2025-11-25", (_, _) => null),
        new("audio", "audio", "2025-03-26", (client, _) => Before(client, "2025-03-26") ? ("text instead", "a text that says so") : null),
        new("structured", "structured results", "2025-06-18", (_, _) => null),
        new("resourceLink", "links to resources in results", "2025-06-18", (client, _) => Before(client, "2025-06-18") ? ("text instead", "a text with the link") : null),
        new("structuredList", "structured results that are no object", Stateless, (client, _) => client is "2025-06-18" or "2025-11-25" ? ("left out", "the text alone") : null),
    ];

    private static (string Seen, string Why) Lacks => ("", "the client's version has none");

    [Fact]
    public async Task EveryVersion_AtEveryVersion_HasEveryFeatureThatBothHave()
    {
        var script = Path.Combine(Repository.Root, "tests", "fixtures", "bridge", "server.mjs");
        List<NodeServer> servers = [];
        try
        {
            foreach (var version in Versions)
            {
                servers.Add(await NodeTool.StartAsync(script, "--version", version));
            }

            var entries = Versions.Zip(servers).SelectMany(pair => new[]
            {
                ($"v{pair.First}-http", GatewayProcess.Remote(pair.Second.Url, pair.First == Versions[0] ? "sse" : null)),
                ($"v{pair.First}-stdio", GatewayProcess.Command(NodeTool.Program, script, "--version", pair.First, "--stdio")),
            }).ToArray();
            await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(entries));

            var seen = await Task.WhenAll(Versions.Select(client => SeeAsync(client, gateway, [.. entries.Select(entry => entry.Item1)])));

            var all = Versions.Zip(seen).ToDictionary(pair => pair.First, pair => pair.Second);
            var differences = Differences(all).ToList();
            Assert.True(differences.Count == 0, $"{string.Join('\n', differences)}\n{gateway.Process.Describe("the gateway said")}");
            Keep(Table());
        }
        finally
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }
        }
    }

    private static async Task<JsonObject> SeeAsync(string client, GatewayProcess gateway, IReadOnlyList<string> servers)
    {
        var script = Path.Combine(Repository.Root, "tests", "fixtures", "bridge", "matrix.mjs");
        var run = await NodeTool.RunAsync(script, ["--version", client, "--gateway", gateway.BaseUrl.AbsoluteUri, "--servers", string.Join(',', servers)]);
        return JsonNode.Parse(run.Json().GetRawText())!.AsObject();
    }

    private static IEnumerable<string> Differences(Dictionary<string, JsonObject> seen) =>
        from client in Versions
        from server in Versions
        from transport in new[] { "http", "stdio" }
        let there = seen[client][$"v{server}-{transport}"]!.AsObject()
        from row in Rows
        let expected = Expected(row, client, server)
        let came = (string?)there[row.Name] ?? ""
        where came != expected
        select $"{row.Name}, client {client}, server {server} over {transport}: {came} instead of {expected}";

    private static string Expected(Row row, string client, string server) =>
        row.Instead(client, server) is { Seen: "" } ? "" : Before(server, row.Since) ? "absent" : row.Instead(client, server)?.Seen ?? "works";

    private static Row Whole(string name, string title) => new(name, title, Versions[0], (_, _) => null);

    private static bool Before(string version, string since) => string.CompareOrdinal(version, since) < 0;

    /// <summary>What servers say to a client that cannot do what they need; the one of the version that has a code for it says that.</summary>
    private static string Missing(string server) => server == Stateless ? "error -32021" : "error -32600";

    /// <summary>A row for each feature, a column for each version of clients; a cell says at which servers it works.</summary>
    private static string Table()
    {
        var text = new StringBuilder("| | servers that have it |");
        text.Append(string.Concat(Versions.Select(version => $" client {version} |"))).Append("\n|---|---|").Append(string.Concat(Versions.Select(_ => "---|"))).Append('\n');
        foreach (var row in Rows)
        {
            text.Append($"| {row.Title} | {(row.Since == Versions[0] ? "all" : row.Since == Stateless ? Stateless : $"from {row.Since}")} |");
            foreach (var client in Versions)
            {
                text.Append($" {row.Instead(client, Versions[^1])?.Why ?? "works"} |");
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
