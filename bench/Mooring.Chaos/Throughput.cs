using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos;

/// <summary>One measured figure with what it must reach.</summary>
internal sealed record Figure(string Name, string Title, string Value, string Target, bool IsKept);

/// <summary>
/// Calls per second of two replicas on one PostgreSQL, each request to the other one by turns, against two gateways that know nothing of each other,
/// each with its own sessions and SQLite. Both kinds of stand are up at the same time and take turns, so that what else the machine does
/// meets both.
/// </summary>
internal static class Throughput
{
    public const string Name = "throughput";
    public const string Head = "| figure | measured | target | build | load |\n|---|---|---|---|---|";

    /// <summary>Enough to keep two cores busy; each has one call under way at any time.</summary>
    private const int Sessions = 32;
    private const int Turns = 6;
    private const int WarmUp = 6;
    private const double Target = 0.8;

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(5);

    public static IReadOnlyList<string> Figures { get; } = ["throughput", "throughput-durable"];

    /// <summary>Both ways to commit, each said to the gateways: left to themselves, replicas put every call of these servers on record first.</summary>
    public static async Task<IReadOnlyList<Figure>> PlayAsync(CancellationToken cancel) =>
        [await PlayAsync(Figures[0], "fast", Target, cancel), await PlayAsync(Figures[1], "durable", target: null, cancel)];

    private static async Task<Figure> PlayAsync(string name, string commit, double? target, CancellationToken cancel)
    {
        await using var shared = await Stand.BuildAsync(new StandShape(Replicas: 2) { Commit = commit }, shared: null, cancel);
        await using var first = await Stand.BuildAsync(new StandShape(Replicas: 1), shared: null, cancel);
        await using var second = await Stand.BuildAsync(new StandShape(Replicas: 1), shared: null, cancel);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = int.MaxValue });
        var together = await Task.WhenAll(Enumerable.Range(0, Sessions).Select(_ => Caller.OpenAsync(http, [.. shared.Replicas.Select(replica => replica.Url)], cancel)));
        var apart = await Task.WhenAll(Enumerable.Range(0, Sessions).Select(index => Caller.OpenAsync(http, [(index % 2 == 0 ? first : second).Replicas[0].Url], cancel)));

        // Compiles what is called often, unmeasured; the compiler's last level comes only after tens of thousands of calls.
        for (var turn = 0; turn < WarmUp; turn++)
        {
            await MeasureAsync(together, cancel);
            await MeasureAsync(apart, cancel);
        }

        List<double> rates = [], others = [];
        for (var turn = 0; turn < Turns; turn++)
        {
            rates.Add(await MeasureAsync(together, cancel));
            others.Add(await MeasureAsync(apart, cancel));
            Report.Progress($"{name}: {rates[^1]:0} calls/s on PostgreSQL, {others[^1]:0} apart, load average {Report.Load()}");
        }

        // Of each turn, not of all: what the machine does meanwhile changes from one to the next.
        var ratio = Median([.. rates.Zip(others, (rate, other) => rate / other)]);
        return new Figure(
            name,
            $"calls per second of two replicas on PostgreSQL, commit {commit}, against two single gateways",
            $"{Median(rates):0} against {Median(others):0}; by turns {ratio:0.00}",
            target is null ? "none" : $"{target}",
            target is null || ratio >= target);
    }

    private static async Task<double> MeasureAsync(IReadOnlyList<Caller> callers, CancellationToken cancel)
    {
        var watch = Stopwatch.StartNew();
        var calls = await Task.WhenAll(callers.Select(caller => Task.Run(() => caller.CallAsync(() => watch.Elapsed < Turn, cancel), cancel)));
        return calls.Sum() / watch.Elapsed.TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>One session that calls as fast as it is answered.</summary>
    private sealed class Caller(HttpClient http, IReadOnlyList<Uri> gateways, string session)
    {
        private static readonly JsonObject Hello = new()
        {
            ["jsonrpc"] = "2.0",
            ["id"] = 0,
            ["method"] = "initialize",
            ["params"] = new JsonObject
            {
                ["protocolVersion"] = "2025-11-25",
                ["capabilities"] = new JsonObject(),
                ["clientInfo"] = new JsonObject { ["name"] = "throughput", ["version"] = "1" },
            },
        };

        private int _calls;

        public static async Task<Caller> OpenAsync(HttpClient http, IReadOnlyList<Uri> gateways, CancellationToken cancel)
        {
            using var response = await SendAsync(http, gateways[0], session: null, Hello.ToJsonString(), cancel);
            var session = response.Headers.GetValues("Mcp-Session-Id").Single();
            using var taken = await SendAsync(http, gateways[0], session, """{"jsonrpc":"2.0","method":"notifications/initialized"}""", cancel);
            return new Caller(http, gateways, session);
        }

        /// <returns>Calls whose own answer came.</returns>
        public async Task<int> CallAsync(Func<bool> goesOn, CancellationToken cancel)
        {
            var before = _calls;
            while (goesOn())
            {
                var key = $"{session}-{++_calls}";
                var call = $$"""{"jsonrpc":"2.0","id":{{_calls}},"method":"tools/call","params":{"name":"fast","arguments":{"key":"{{key}}"} } }""";
                using var response = await SendAsync(http, gateways[_calls % gateways.Count], session, call, cancel);
                var answer = await response.Content.ReadAsStringAsync(cancel);
                if (!answer.Contains($"\"{key}\"", StringComparison.Ordinal))
                {
                    throw new InvalidOperationException($"Not the answer to {key}: {answer}");
                }
            }

            return _calls - before;
        }

        private static async Task<HttpResponseMessage> SendAsync(HttpClient http, Uri gateway, string? session, string body, CancellationToken cancel)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway, "/servers/web/mcp"));
            request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
            if (session is not null)
            {
                request.Headers.Add("Mcp-Session-Id", session);
                request.Headers.Add("MCP-Protocol-Version", "2025-11-25");
            }

            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            var response = await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, cancel);
            return response.EnsureSuccessStatusCode();
        }
    }
}
