using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <summary>
/// One client with one session: it calls, asks for its tools, holds its stream, and knows what it must receive. It sends nothing again
/// unless it was told that it may. Made and run by <see cref="Crowd"/>.
/// </summary>
internal sealed partial class StrictSession(
    int index, Uri endpoint, string version, HttpClient http, Tally tally, Conduct conduct, Random random, Journal journal) : ISessionClient
{
    /// <summary>The first version of this transport.</summary>
    public const string March = "2025-03-26";

    private readonly Journal _journal = journal;
    private readonly EventBook _events = new(journal, IsPrimedIn(version));
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _session;
    private readonly Pair _pair = new(IsClientStateless: false, Crowd.IsBare(endpoint));
    private int _lastId;
    private int _calls;

    private bool IsPrimed => IsPrimedIn(version);

    private string Who => $"{index} ({endpoint.AbsolutePath}, {version})";

    public Task Ready => _ready.Task;

    public async Task RunAsync(CancellationToken stop, CancellationToken end)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(end);
        var listening = ListenAsync(over.Token);
        try
        {
            // Not all at the same moment, for ever in step.
            await Task.Delay(conduct.Pace * random.NextDouble(), end);
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
        if (Current() is null)
        {
            await OpenAsync(end);
        }

        await AskForToolsAsync(end);
        _ready.TrySetResult();
        await conduct.MayCallAsync(stop);
        // The first is an errand, and each fifth of the few that have tasks made of them, so that each round has some of each kind.
        switch (_calls == 0 || (_calls % 5 == 0 && MakesTaskOf(Errands.Tool)) ? 14 : random.Next(20))
        {
            case < 12:
                await CallAsync("fast", new JsonObject(), seconds: 0, end);
                break;
            case < 15:
                await CallAsync(Errands.Tool, random.Next(1, conduct.Slowest + 1), end);
                break;
            case < 18:
                var seconds = random.Next(Math.Min(3, conduct.Slowest), conduct.Slowest + 1);
                await CallAsync("slow", new JsonObject { ["seconds"] = seconds }, seconds, end);
                break;
            default:
                await AnnounceAsync(random.Next(1, 6), end);
                break;
        }

        await Task.Delay(conduct.Pace * (0.4 + (1.2 * random.NextDouble())), stop);
    }

    public Task<Outcome> CallAsync(string tool, int seconds, CancellationToken end) =>
        CallAsync(tool, new JsonObject { ["seconds"] = seconds }, seconds, end);

    public async Task AnnounceAsync(int count, CancellationToken end)
    {
        if (_pair.IsServerStateless)
        {
            // Such a server has nothing to say outside of a call but that something changed.
            await CallAsync("change", new JsonObject(), seconds: 0, end);
            return;
        }

        var first = _events.Reserve(count);
        var session = Current();
        _journal.Write($"announces n{first} to n{first + count - 1}");
        var outcome = await CallAsync("announce", new JsonObject { ["first"] = first, ["count"] = count, ["size"] = conduct.Padding }, seconds: 0, end);
        _journal.Write($"announcing n{first} to n{first + count - 1} ended as {outcome}");
        if (IsResult(outcome) && session == Current())
        {
            _events.OweAnnounced(first, count);
        }
    }

    public async Task VisitAsync(Uri gateway, CancellationToken end)
    {
        using var request = Post(Request(NextId(), "tools/list", parameters: null), Current());
        request.RequestUri = new Uri(gateway, endpoint.AbsolutePath);
        using var response = await http.AskAsync(request, end);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Initialises until it succeeds: until then there is no session that could be lost.</summary>
    private async Task OpenAsync(CancellationToken end)
    {
        while (true)
        {
            try
            {
                var id = NextId();
                using var response = await http.AskAsync(Post(Request(id, "initialize", new JsonObject
                {
                    ["protocolVersion"] = version,
                    ["capabilities"] = new JsonObject(),
                    ["clientInfo"] = new JsonObject { ["name"] = $"strict-{index}", ["version"] = "1" },
                }), session: null), end);
                if (response.IsSuccessStatusCode && await AnswerOfAsync(response, id, end) is { } answer && answer["result"] is not null)
                {
                    var session = response.Headers.GetValues("Mcp-Session-Id").Single();
                    using var taken = await http.AskAsync(Post(new JsonObject { ["jsonrpc"] = "2.0", ["method"] = "notifications/initialized" }, session), end);
                    lock (_gate)
                    {
                        _session = session;
                        _journal.Write($"session {session}");
                        _opened.TrySetResult();
                    }

                    return;
                }
            }
            catch (Exception e) when (IsTransport(e))
            {
                // Nothing is lost that was never had.
            }

            await Task.Delay(Pause, end);
        }
    }

    /// <summary>Asks until the answer is right, and takes the time if it was not so at once.</summary>
    private async Task AskForToolsAsync(CancellationToken end)
    {
        var start = TimeProvider.System.GetTimestamp();
        var met = new List<string>();
        var session = Current();
        for (var failures = 0; session is not null; failures++)
        {
            try
            {
                var id = NextId();
                using var response = await http.AskAsync(Post(Request(id, "tools/list", parameters: null), session), end);
                if (response.StatusCode == HttpStatusCode.NotFound)
                {
                    SessionLost(session, "tools/list");
                    return;
                }

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

                        return;
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

    private string? Current()
    {
        lock (_gate)
        {
            return _session;
        }
    }

    /// <summary>The gateway does not know the session any more: whoever finds out first says so, and a new one is opened.</summary>
    private void SessionLost(string session, string at)
    {
        lock (_gate)
        {
            if (_session != session)
            {
                return;
            }

            _session = null;
            _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        _journal.Write($"session {session} lost: 404 for {at}");
        tally.SessionLost($"{Who}: 404 for {at}");
        _events.Close(tally, Who);
    }

    private int NextId() => Interlocked.Increment(ref _lastId);

    private HttpRequestMessage Post(JsonObject message, string? session)
    {
        var request = Head(HttpMethod.Post, "application/json, text/event-stream", session);
        request.Content = new StringContent(message.ToJsonString(), Encoding.UTF8, "application/json");
        return request;
    }

    private HttpRequestMessage Get(string session, string? lastEventId)
    {
        var request = Head(HttpMethod.Get, "text/event-stream", session);
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        return request;
    }

    private HttpRequestMessage Head(HttpMethod method, string accept, string? session)
    {
        var request = new HttpRequestMessage(method, endpoint);
        request.Headers.TryAddWithoutValidation("Accept", accept);
        if (session is not null)
        {
            request.Headers.Add("Mcp-Session-Id", session);
            if (version != March)
            {
                // That version has no such header.
                request.Headers.Add("MCP-Protocol-Version", version);
            }
        }

        return request;
    }

    /// <summary>Whether a version gives each stream an event id before its first message.</summary>
    private static bool IsPrimedIn(string version) => version == "2025-11-25";
}
