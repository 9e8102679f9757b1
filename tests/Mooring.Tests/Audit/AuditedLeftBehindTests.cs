using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Tests.Replicas;
using Mooring.Tests.Tasks;
using Xunit;

namespace Mooring.Tests.Audit;

/// <summary>Calls whose process is gone: whoever finds them says so, and where beginnings are noted it is known what they were.</summary>
public sealed class AuditedLeftBehindTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-audit-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "audit.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Call_OnRecord_ItsReplicaIsGone_IsNotedByTheOneThatTakesOver()
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => c with { Audit = new AuditConfig { File = Path, Begun = true } });
        var (dead, other) = (pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name);
        var client = await pair.A.ClientAsync(user: "ann");
        var (reply, _) = await pair.A.StreamedAsync(client, id: "7");
        using var stream = reply;
        var begun = await LineAsync(pair, line => (string)line["outcome"]! == "begun");

        // As one that is cut off from the store: nobody else can tell it from a dead one.
        pair.StoreOfA.IsAway = true;
        var line = await LineAsync(pair, line => (string)line["outcome"]! == "outcome_unknown" && (string)line["replica"]! == other);

        Assert.Equal(("https://issuer.test", "ann", "test", "one"), ((string?)line["issuer"], (string?)line["user"], (string?)line["client"], (string?)line["server"]));
        Assert.Equal($"the gateway process that ran it is gone: {dead}", (string?)line["reason"]);
        Assert.True((bool?)line["clientLeft"]);
        // The session is what both lines have.
        Assert.Equal((string)begun["session"]!, (string?)line["session"]);
        Assert.Equal(("slow", dead), ((string?)begun["name"], (string?)begun["replica"]));
    }

    [Fact]
    public async Task Task_ItsReplicaIsGone_IsNotedByTheOneThatTakesOver()
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => c with { Audit = new AuditConfig { File = Path }, Calls = c.Calls with { TaskAfter = TimeSpan.FromSeconds(30) } });
        var (dead, other) = (pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name);
        var (id, _) = await pair.A.TaskAsync(TaskClient.New(pair.A));

        pair.StoreOfA.IsAway = true;
        await pair.B.UntilTaskAsync(TaskClient.New(pair.B), id, "failed", TimeSpan.FromSeconds(30));
        var line = await LineAsync(pair, line => (string)line["outcome"]! == "outcome_unknown" && (string)line["replica"]! == other);

        Assert.Equal(("one", "slow", true), ((string?)line["server"], (string?)line["name"], (bool?)line["task"]));
        Assert.Equal($"the gateway process that ran it is gone: {dead}", (string?)line["reason"]);
    }

    private async Task<JsonObject> LineAsync(ReplicaPair pair, Predicate<JsonObject> isIt)
    {
        JsonObject? found = null;
        await pair.UntilAsync(() => (found = Lines().Find(isIt)) is not null, "the line is written");
        return found!;
    }

    private List<JsonObject> Lines()
    {
        if (!File.Exists(Path))
        {
            return [];
        }

        using var file = new StreamReader(new FileStream(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        var text = file.ReadToEnd();
        // What follows the last line end is still being written.
        return [.. text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];
    }
}
