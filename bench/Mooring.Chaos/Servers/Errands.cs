using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Mooring.Chaos.Servers;

/// <summary>
/// Calls that a server executes as tasks of its own. Each is written down when it begins, and goes on whoever asks for it, or nobody; all are gone with the
/// process, but not with a session.
/// </summary>
internal sealed class Errands(Ledger ledger)
{
    public const string Tool = "errand";

    /// <summary>What is said of a task that this process does not know, by which it can be told from what a gateway says of one.</summary>
    public const string Forgotten = "no such errand here";

    /// <summary>Stands in the ledgers before the key of a call that a server made a task of.</summary>
    private const string Mark = "task ";

    private readonly ConcurrentDictionary<string, Errand> _all = new(StringComparer.Ordinal);

    /// <summary>Begins one, which is written down when this returns.</summary>
    public Errand Begin(JsonObject call)
    {
        var errand = new Errand(call);
        ledger.Executed(Mark + (string)Tools.Argument(call, "key")!);
        _all[errand.Id] = errand;
        errand.Run(ledger);
        return errand;
    }

    public Errand? Find(JsonObject request) => _all.GetValueOrDefault((string?)request["params"]?["taskId"] ?? "");

    /// <summary>Whether a line of a ledger is about a task that a server made.</summary>
    public static bool IsTask(string line) => line.StartsWith(Mark, StringComparison.Ordinal);

    /// <summary>Whether a server made a task of a call.</summary>
    public static bool WasTask(IReadOnlyDictionary<string, int> executed, string key) => executed.ContainsKey(Mark + key);
}

/// <summary>One of them.</summary>
internal sealed class Errand(JsonObject call) : IDisposable
{
    /// <summary>How often a server wants to be asked.</summary>
    private const int Poll = 300;

    private readonly CancellationTokenSource _cancel = new();
    private readonly string _begun = Now();
    private Task _running = Task.CompletedTask;

    public string Id { get; } = Guid.NewGuid().ToString("n");

    public string Status => !_running.IsCompleted ? "working" : _running.IsCanceled ? "cancelled" : "completed";

    /// <summary>Completes when it is over, however.</summary>
    public Task Over => _running.ContinueWith(static _ => { }, TaskScheduler.Default);

    public JsonObject Result => Tools.Result("tools/call", call);

    public void Run(Ledger ledger) => _running = Tools.ExecuteAsync(call, ledger, _ => Task.CompletedTask, _ => Task.CompletedTask, _cancel.Token);

    public void Cancel() => _cancel.Cancel();

    /// <param name="unit">What the version puts behind the names of times.</param>
    public JsonObject State(string unit) => new()
    {
        ["taskId"] = Id,
        ["status"] = Status,
        ["createdAt"] = _begun,
        ["lastUpdatedAt"] = Now(),
        ["ttl" + unit] = 600_000,
        ["pollInterval" + unit] = Poll,
    };

    public void Dispose() => _cancel.Dispose();

    private static string Now() => TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);
}
