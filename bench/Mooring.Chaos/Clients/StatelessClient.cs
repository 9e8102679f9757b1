using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <summary>
/// One client of 2026-07-28: each request says for itself who asks, and is answered on its own connection or not at all. It listens for changes,
/// answers what its server asks, holds tasks where it declares them, and knows what it must receive. It sends nothing again unless it was told
/// that it may. Made and run by <see cref="Crowd"/>.
/// </summary>
/// <param name="index">Among these clients.</param>
/// <param name="endpoint">One server, through one balancer.</param>
/// <param name="hasTasks">Whether it declares the tasks extension.</param>
/// <param name="http">Shared by all.</param>
/// <param name="tally">Shared by all.</param>
/// <param name="conduct">What the round wants.</param>
/// <param name="random">Decides what it does.</param>
/// <param name="journal">What it did.</param>
internal sealed partial class StatelessClient(
    int index, Uri endpoint, bool hasTasks, HttpClient http, Tally tally, Conduct conduct, Random random, Journal journal)
{
    private const string Version = "2026-07-28";

    private readonly EventBook _events = new(journal, isPrimed: true);
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Pair _pair = new(IsClientStateless: true, Crowd.IsBare(endpoint));
    private int _lastId;
    private int _calls;

    /// <summary>Whether changes of its list are told: each process of the server on standard streams has a list of its own, and says nothing of it.</summary>
    private bool HearsChanges => !endpoint.AbsolutePath.Equals(Crowd.Local, StringComparison.Ordinal);

    private string Who => $"stateless {index} ({endpoint.AbsolutePath}{(hasTasks ? ", with tasks" : "")})";

    /// <summary>Completes when its tools were seen and it listens.</summary>
    public Task Ready => _ready.Task;

    /// <summary>Works until told to stop, finishes what it began, and waits for what is still owed.</summary>
    /// <param name="stop">No new calls.</param>
    /// <param name="end">Everything is over, finished or not.</param>
    public async Task RunAsync(CancellationToken stop, CancellationToken end)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(end);
        var listening = ListenAsync(over.Token);
        try
        {
            await Task.Delay(conduct.Pace * random.NextDouble(), end);
            await _listens.Task.WaitAsync(end);
            await WorkAsync(stop, end);
            for (var waited = 0; waited < 100 && !_events.IsSettled(); waited++)
            {
                await Task.Delay(Pause, end);
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Given up on; what is owed is counted below.
        }
        finally
        {
            await over.CancelAsync();
            await listening;
            _events.Close(tally, Who);
        }
    }

    private async Task WorkAsync(CancellationToken stop, CancellationToken end)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                await StepAsync(stop, end);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !end.IsCancellationRequested)
        {
            // Between two calls.
        }
    }

    private async Task StepAsync(CancellationToken stop, CancellationToken end)
    {
        await AskForToolsAsync(end);
        _ready.TrySetResult();
        await conduct.MayCallAsync(stop);
        // The first is an errand, so that each round has some of each kind.
        switch (_calls == 0 ? 17 : random.Next(20))
        {
            case < 9:
                await CallAsync("fast", new JsonObject(), seconds: 0, end);
                break;
            case < 12:
                await CallAsync("ask", new JsonObject(), seconds: 0, end);
                break;
            case < 15:
                var seconds = random.Next(Math.Min(3, conduct.Slowest), conduct.Slowest + 1);
                await CallAsync("slow", seconds, end);
                break;
            case < 18:
                await CallAsync(Errands.Tool, random.Next(1, conduct.Slowest + 1), end);
                break;
            default:
                await (HearsChanges ? ChangeAsync(end) : CallAsync("fast", new JsonObject(), seconds: 0, end));
                break;
        }

        await Task.Delay(conduct.Pace * (0.4 + (1.2 * random.NextDouble())), stop);
    }

    /// <summary>A call on the orders of a round, beside the client's own ones.</summary>
    public Task<Outcome> CallAsync(string tool, int seconds, CancellationToken end) =>
        CallAsync(tool, new JsonObject { ["seconds"] = seconds }, seconds, end);

    /// <summary>Makes the list of tools another one, and remembers that it is owed to be told.</summary>
    public async Task ChangeAsync(CancellationToken end)
    {
        var outcome = await CallAsync("change", new JsonObject(), seconds: 0, end);
        journal.Write($"change ended as {outcome}, generation {_changedTo}");
        if (outcome == Outcome.Answered)
        {
            _events.OweGeneration(_changedTo);
        }
    }

    /// <summary>Asks until the answer is right, and takes the time if it was not so at once.</summary>
    /// <returns>The list.</returns>
    private async Task<JsonNode> AskForToolsAsync(CancellationToken end)
    {
        var start = TimeProvider.System.GetTimestamp();
        var met = new List<string>();
        for (var failures = 0; ; failures++)
        {
            try
            {
                var id = NextId();
                using var response = await http.AskAsync(Post(id, "tools/list", name: null, []), end);
                // A balancer says 502, 503 and 504 too, without a word of JSON.
                if (await AnswerOfAsync(response, id, end) is { } answer)
                {
                    if (response.IsSuccessStatusCode && HasTools(answer))
                    {
                        var took = TimeProvider.System.GetElapsedTime(start);
                        if (failures > 0 || took > Tally.SlowList)
                        {
                            tally.NoTools(took, Who, met);
                        }

                        return answer["result"]!;
                    }

                    tally.WrongList($"{Who}: {(int)response.StatusCode} {answer.ToJsonString()}");
                }

                met.Add($"{(int)response.StatusCode} by {response.RequestMessage?.RequestUri?.Port} after {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0.0} s");
            }
            catch (Exception e) when (IsTransport(e))
            {
                // Asking again is allowed: nothing changes by it.
                met.Add($"{e.GetType().Name} after {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0.0} s");
            }

            tally.NoTools(TimeProvider.System.GetElapsedTime(start), Who, met);
            await Task.Delay(Pause, end);
        }
    }

    private int NextId() => Interlocked.Increment(ref _lastId);

    /// <summary>A request with everything that has to be said with each.</summary>
    private HttpRequestMessage Post(int id, string method, string? name, JsonObject parameters)
    {
        var capabilities = new JsonObject { ["elicitation"] = new JsonObject { ["form"] = new JsonObject() } };
        if (hasTasks)
        {
            capabilities["extensions"] = new JsonObject { ["io.modelcontextprotocol/tasks"] = new JsonObject() };
        }

        var meta = new JsonObject
        {
            ["io.modelcontextprotocol/protocolVersion"] = Version,
            ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = $"stateless-{index}", ["version"] = "1" },
            ["io.modelcontextprotocol/clientCapabilities"] = capabilities,
        };
        if ((string?)parameters["arguments"]?["key"] is { } key)
        {
            meta["progressToken"] = key;
        }

        parameters["_meta"] = meta;
        var request = new HttpRequestMessage(HttpMethod.Post, endpoint)
        {
            Content = new StringContent(Request(id, method, parameters).ToJsonString(), Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", Version);
        request.Headers.Add("Mcp-Method", method);
        if (name is not null)
        {
            request.Headers.Add("Mcp-Name", name);
        }

        return request;
    }

    /// <summary>Refused before anything was done with it, by the gateway or by a balancer that has nobody to send it to.</summary>
    private static bool IsLater(HttpResponseMessage response) => response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests;
}
