using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>What <c>counting-server.mjs</c> wrote down of its executions, over all its processes.</summary>
internal sealed class Ledger(string file)
{
    private static readonly string Script = Path.Combine(Repository.Root, "tests", "Mooring.EndToEndTests", "Faults", "Parts", "counting-server.mjs");

    /// <summary>How a gateway starts the server.</summary>
    public JsonObject Server => GatewayProcess.Command(NodeTool.Program, Script, file);

    /// <summary>Executions of one tool, in order, each with the idempotency key it came with.</summary>
    public List<string?> KeysOf(string tool) =>
    [
        .. (File.Exists(file) ? File.ReadAllLines(file) : []).Select(line => JsonNode.Parse(line)!)
            .Where(entry => (string?)entry["tool"] == tool).Select(entry => (string?)entry["key"]),
    ];

    public int Executions(string tool) => KeysOf(tool).Count;
}
