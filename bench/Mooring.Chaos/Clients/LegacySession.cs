using System.Net;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <summary>
/// One client of HTTP+SSE (2024-11-05) with one session: everything comes on its one stream, which it opens again as an <c>EventSource</c> does, and
/// everything it sends is posted to the address in the stream's first event. It initialises once, and what it sends it sends once, unless it was told that
/// it may again. Made and run by <see cref="Crowd"/>.
/// </summary>
internal sealed partial class LegacySession(int index, Uri endpoint, HttpClient http, Tally tally, Conduct conduct, Random random, Journal journal) : ISessionClient
{
    private const string Version = "2024-11-05";

    /// <summary>No message has an event id that anybody could come back with.</summary>
    private readonly EventBook _events = new(journal, isPrimed: false);
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Pair _pair = new(IsClientStateless: false, IsServerStateless: false);
    private int _lastId;
    private int _calls;

    private string Who => $"{index} ({endpoint.AbsolutePath}, {Version})";

    public Task Ready => _ready.Task;

    public async Task RunAsync(CancellationToken stop, CancellationToken end)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(end);
        var listening = ListenAsync(over.Token);
        try
        {
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

    public Task<Outcome> CallAsync(string tool, int seconds, CancellationToken end) =>
        CallAsync(tool, new JsonObject { ["seconds"] = seconds }, seconds, end);

    public async Task AnnounceAsync(int count, CancellationToken end)
    {
        var first = _events.Reserve(count);
        var session = Current;
        journal.Write($"announces n{first} to n{first + count - 1}");
        var outcome = await CallAsync("announce", new JsonObject { ["first"] = first, ["count"] = count, ["size"] = conduct.Padding }, seconds: 0, end);
        journal.Write($"announcing n{first} to n{first + count - 1} ended as {outcome}");
        if (outcome is Outcome.Answered or Outcome.Resumed && session == Current)
        {
            _events.OweAnnounced(first, count);
        }
    }

    public async Task VisitAsync(Uri gateway, CancellationToken end)
    {
        var connection = await ConnectedAsync(end);
        using var response = await http.AskAsync(Post(new Uri(gateway, connection.Messages.PathAndQuery), Request(NextId(), "tools/list", parameters: null)), end);
        response.EnsureSuccessStatusCode();
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
        await OpenAsync(end);
        await AskForToolsAsync(end);
        _ready.TrySetResult();
        await conduct.MayCallAsync(stop);
        switch (random.Next(20))
        {
            case < 14:
                await CallAsync("fast", new JsonObject(), seconds: 0, end);
                break;
            case < 17:
                await CallAsync("slow", random.Next(Math.Min(3, conduct.Slowest), conduct.Slowest + 1), end);
                break;
            default:
                await AnnounceAsync(random.Next(1, 6), end);
                break;
        }

        await Task.Delay(conduct.Pace * (0.4 + (1.2 * random.NextDouble())), stop);
    }

    /// <summary>
    /// Asks until the answer is right, and takes the time if it was not so at once. Only time with a stream counts: a list can come on nothing else, and how
    /// long a stream was away has a column of its own.
    /// </summary>
    private async Task AskForToolsAsync(CancellationToken end)
    {
        var without = TimeSpan.Zero;
        var met = new List<string>();
        for (var failures = 0; ; failures++)
        {
            var connection = await ConnectedAsync(end);
            var start = TimeProvider.System.GetTimestamp();
            if (await AskOnceForToolsAsync(connection, met, end))
            {
                without += TimeProvider.System.GetElapsedTime(start);
                if (failures > 0 || without > Tally.SlowList)
                {
                    tally.NoTools(without, Who, met, isLegacy: true);
                }

                return;
            }

            if (!IsOpen(Current))
            {
                return;
            }

            await Task.Delay(Pause, end);
            without += TimeProvider.System.GetElapsedTime(start);
            tally.NoTools(without, Who, met, isLegacy: true);
        }
    }

    private async Task<bool> AskOnceForToolsAsync(Connection connection, List<string> met, CancellationToken end)
    {
        var id = NextId();
        var answer = Expect(id);
        try
        {
            using var response = await http.AskAsync(Post(connection.Messages, Request(id, "tools/list", parameters: null)), end);
            if (response.StatusCode == HttpStatusCode.NotFound)
            {
                SessionLost(connection.Session, "tools/list");
            }

            if (!response.IsSuccessStatusCode)
            {
                // A balancer says 502, 503 and 504 too, without a word of JSON. The gateway's own 503 says that the store, by which the answer would have to go to the
                // replica with the stream, is away: what that costs is time without tools, which is judged.
                if (response.StatusCode != HttpStatusCode.ServiceUnavailable && response.Content.Headers.ContentType?.MediaType == "application/json")
                {
                    tally.WrongList($"{Who}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(end)}");
                }

                met.Add($"{(int)response.StatusCode}");
                return false;
            }

            await Task.WhenAny(answer, connection.Over, Task.Delay(HeadLimit, end));
            if (!answer.IsCompletedSuccessfully)
            {
                met.Add(connection.Over.IsCompleted ? "the stream ended" : "no answer");
                return false;
            }

            var (message, _) = await answer;
            if (!HasTools(message))
            {
                tally.WrongList($"{Who}: {message.ToJsonString()}");
                return false;
            }

            return true;
        }
        catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
        {
            // Asking again is allowed: nothing changes by it.
            met.Add(e.GetType().Name);
            return false;
        }
        finally
        {
            _expected.TryRemove(id, out _);
        }
    }

    private int NextId() => Interlocked.Increment(ref _lastId);
}
