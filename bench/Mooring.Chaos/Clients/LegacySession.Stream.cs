using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>The stream and the session on it: one that is lost is opened again with what its first event was called, and the session has to be the same.</content>
internal sealed partial class LegacySession
{
    private readonly ConcurrentDictionary<int, TaskCompletionSource<(JsonObject Message, Connection On)>> _expected = [];
    private readonly Lock _gate = new();
    private TaskCompletionSource<Connection> _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _session;
    private string? _initialised;
    private string? _lastEventId;
    private TimeSpan _retry = Pause;
    private long? _broke;

    private string? Current
    {
        get
        {
            lock (_gate)
            {
                return _session;
            }
        }
    }

    private bool IsOpen(string? session)
    {
        lock (_gate)
        {
            return session is not null && _initialised == session;
        }
    }

    private Task<Connection> ConnectedAsync(CancellationToken end)
    {
        lock (_gate)
        {
            return _connected.Task.WaitAsync(end);
        }
    }

    private Task<(JsonObject Message, Connection On)> Expect(int id) =>
        (_expected[id] = new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    private async Task ListenAsync(CancellationToken over)
    {
        try
        {
            while (true)
            {
                await ListenOnceAsync(over);
                await Task.Delay(_retry, over);
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The session is done.
        }
    }

    private async Task ListenOnceAsync(CancellationToken over)
    {
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(over);
        Connection? connection = null;
        try
        {
            var request = new HttpRequestMessage(HttpMethod.Get, endpoint);
            request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
            if (_lastEventId is { } last)
            {
                request.Headers.Add("Last-Event-ID", last);
            }

            journal.Write($"asks for a stream after {_lastEventId ?? "nothing"}");
            using var response = await http.AskAsync(request, over);
            journal.Write($"stream: {(int)response.StatusCode}");
            if (response.StatusCode != HttpStatusCode.OK)
            {
                if (response.StatusCode == HttpStatusCode.NotFound)
                {
                    SessionLost(Current, "its stream");
                }

                tally.Waited();
                await Task.Delay(Later(response), over);
                return;
            }

            using var reader = await EventReader.OfAsync(response);
            while (await reader.NextAsync(abandon.Token) is { } block)
            {
                _lastEventId = block.Id ?? _lastEventId;
                _retry = block.Retry is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : _retry;
                if (block.Event == "endpoint")
                {
                    connection = Began(block.Data!, abandon);
                }
                else if (block.Message is { } message && connection is not null)
                {
                    Take(message, connection);
                }
            }
        }
        catch (Exception e) when (IsTransport(e) && !over.IsCancellationRequested)
        {
            journal.Write($"no stream: {e.GetType().Name}: {e.Message}");
            await Task.Delay(Pause, over);
        }
        finally
        {
            Ended(connection);
        }
    }

    private Connection Began(string address, CancellationTokenSource abandon)
    {
        var connection = new Connection(new Uri(endpoint, address), address[(address.IndexOf('=', StringComparison.Ordinal) + 1)..], abandon);
        if (IsOpen(Current) && Current != connection.Session)
        {
            SessionLost(Current, $"its stream, which is that of another session, {connection.Session}");
        }

        if (_broke is { } broke)
        {
            tally.Resumptions.Add((TimeProvider.System.GetElapsedTime(broke) - _retry).TotalMilliseconds);
            _events.BrokeWithoutId();
        }

        lock (_gate)
        {
            _session = connection.Session;
            _connected.TrySetResult(connection);
        }

        journal.Write($"session {connection.Session}");
        return connection;
    }

    private void Ended(Connection? connection)
    {
        if (connection is null)
        {
            return;
        }

        lock (_gate)
        {
            _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        journal.Write("the stream ended");
        tally.Reconnected();
        _broke = TimeProvider.System.GetTimestamp();
        connection.End();
    }

    private void Take(JsonObject message, Connection connection)
    {
        if (message["method"] is not null)
        {
            _events.Saw(message, "on the stream");
        }
        else if ((int?)message["id"] is { } id && _expected.TryRemove(id, out var expected))
        {
            expected.TrySetResult((message, connection));
        }
    }

    /// <summary>Initialises, once for a session: one that comes back on another stream knows it all.</summary>
    private async Task OpenAsync(CancellationToken end)
    {
        while (!IsOpen(Current))
        {
            var connection = await ConnectedAsync(end);
            var id = NextId();
            var answer = Expect(id);
            try
            {
                using var response = await http.AskAsync(Post(connection.Messages, Request(id, "initialize", new JsonObject
                {
                    ["protocolVersion"] = Version,
                    ["capabilities"] = new JsonObject(),
                    ["clientInfo"] = new JsonObject { ["name"] = $"legacy-{index}", ["version"] = "1" },
                })), end);
                await Task.WhenAny(answer, connection.Over, Task.Delay(HeadLimit, end));
                if (answer.IsCompletedSuccessfully && (await answer).Message["result"] is not null)
                {
                    using var taken = await http.AskAsync(Post(connection.Messages, new JsonObject { ["jsonrpc"] = "2.0", ["method"] = "notifications/initialized" }), end);
                    lock (_gate)
                    {
                        _initialised = connection.Session;
                    }

                    continue;
                }
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                // Nothing is lost that was never had.
            }
            finally
            {
                _expected.TryRemove(id, out _);
            }

            // Anew, as a client that has never had its answer.
            _lastEventId = null;
            await connection.AbandonAsync();
            await Task.Delay(Pause, end);
        }
    }

    private void SessionLost(string? session, string at)
    {
        lock (_gate)
        {
            if (session is null || _session != session)
            {
                return;
            }

            (_session, _initialised, _lastEventId) = (null, null, null);
        }

        journal.Write($"session {session} lost at {at}");
        tally.SessionLost($"{Who}: {at}");
        _events.Close(tally, Who);
    }

    private static HttpRequestMessage Post(Uri to, JsonObject message) =>
        new(HttpMethod.Post, to) { Content = new StringContent(message.ToJsonString(), Encoding.UTF8, "application/json") };

    /// <summary>One stream, from its first event to its end.</summary>
    /// <param name="Messages">Where messages go.</param>
    /// <param name="Session">Whose it is.</param>
    /// <param name="Abandon">Ends it from here.</param>
    private sealed record Connection(Uri Messages, string Session, CancellationTokenSource Abandon)
    {
        private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Over => _over.Task;

        public long Began { get; } = TimeProvider.System.GetTimestamp();

        public void End() => _over.TrySetResult();

        public async Task AbandonAsync()
        {
            if (!_over.Task.IsCompleted)
            {
                await Abandon.CancelAsync();
            }
        }
    }
}
