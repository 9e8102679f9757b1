using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mooring.Benchmarks.Load;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks.Scaling;

/// <summary>
/// One gateway on PostgreSQL: opens sessions, has each make a call, opens a stream in each, and lets them be, one stage after the other. Each stage is
/// charged with what memory, processor time and rows grew by.
/// </summary>
internal sealed class GatewayCosts(ScalingOptions options, ServerProcess gateway, Database database)
{
    private const int Workers = 16;
    private const int WarmUp = 500;
    private const int Rounds = 5;

    private readonly List<string> _sessions = [];
    private readonly List<Socket> _streams = [];
    private Idle _idle;

    public async Task<(Cost Session, Cost Link, Cost Stream, Cost Comment)> MeasureAsync(double beat, CancellationToken cancellation)
    {
        try
        {
            // Compiled code does not count as memory of sessions.
            OpenSessions(WarmUp);
            EachOfLast(WarmUp, Call);
            EachOfLast(WarmUp, (_, session) => OpenStream(session));
            CloseStreams();

            _idle = await Idle.OfAsync(database, [gateway], cancellation);
            var session = await StageAsync("open a session", ["sessions"], () => OpenSessions(options.Sessions), cancellation);
            var link = await StageAsync("its first call, which opens a link", ["links"], () => EachOfLast(options.Sessions, Call), cancellation);

            // Once more, now that everything is there but the streams: a comment costs little beside it.
            _idle = await Idle.OfAsync(database, [gateway], cancellation);
            var stream = await StageAsync("open its stream", ["streams", "events"], () => EachOfLast(options.Sessions, (_, id) => OpenStream(id)), cancellation);
            return (session, link, stream, await CommentAsync(beat, cancellation));
        }
        finally
        {
            CloseStreams();
        }
    }

    private void CloseStreams()
    {
        _streams.ForEach(socket => socket.Dispose());
        _streams.Clear();
    }

    private async Task<Cost> StageAsync(string what, string[] tables, Action act, CancellationToken cancellation)
    {
        var size = await database.SizeAsync(tables);
        var (before, use, start) = (ProcessFigures.Read(gateway.Pid)!.Value, await database.UseAsync(), Stopwatch.GetTimestamp());
        act();
        await Task.Delay(TimeSpan.FromSeconds(2), cancellation);
        var (after, used, seconds) = (ProcessFigures.Read(gateway.Pid)!.Value, await database.UseAsync() - use, Stopwatch.GetElapsedTime(start).TotalSeconds);
        var cost = new Cost(
            what, (after.Resident - before.Resident) / (double)options.Sessions, _idle.Gateways(after.Processor - before.Processor, seconds) / options.Sessions,
            (await database.SizeAsync(tables) - size) / options.Sessions, _idle.Database(used.Processor, seconds) / options.Sessions, used.Log / options.Sessions);
        Report.Progress($"{cost}");
        return cost;
    }

    /// <summary>Nobody reads the streams: the kernel keeps the comments, eight bytes each with their chunk's frame, and they are counted there.</summary>
    private async Task<Cost> CommentAsync(double beat, CancellationToken cancellation)
    {
        const int comment = 8;
        await Task.Delay(TimeSpan.FromSeconds(beat), cancellation);
        var (before, start) = (ProcessFigures.Read(gateway.Pid)!.Value, Stopwatch.GetTimestamp());
        var arrived = _streams.Sum(socket => (long)socket.Available);
        await Task.Delay(TimeSpan.FromSeconds(Rounds * beat), cancellation);
        var comments = (_streams.Sum(socket => (long)socket.Available) - arrived) / (double)comment;
        var (after, seconds) = (ProcessFigures.Read(gateway.Pid)!.Value, Stopwatch.GetElapsedTime(start).TotalSeconds);
        if (comments < _streams.Count * (Rounds - 1))
        {
            throw new InvalidDataException($"Only {comments} comments on {_streams.Count} streams.");
        }

        var cost = new Cost("a keep-alive comment", GatewayMicros: _idle.Gateways(after.Processor - before.Processor, seconds) / comments);
        Report.Progress($"{cost}");
        return cost;
    }

    private void OpenSessions(int count) => InParallel(count, (connection, _) =>
    {
        connection.SessionId = null;
        connection.Exchange(Requests.Post(gateway.Url, null, Requests.Initialize("bench")));
        var id = connection.Status == 200 && connection.SessionId is { } session ? session : throw new InvalidDataException($"initialize: {connection.Status}");
        connection.Exchange(Requests.Post(gateway.Url, id, Requests.Initialized));
        lock (_sessions)
        {
            _sessions.Add(id);
        }
    });

    private void EachOfLast(int count, Action<RawConnection, string> act)
    {
        var from = _sessions.Count - count;
        InParallel(count, (connection, index) => act(connection, _sessions[from + index]));
    }

    private void Call(RawConnection connection, string session)
    {
        connection.Exchange(Requests.Post(gateway.Url, session, """{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"""));
        if (connection.Status != 200 || connection.Body.IndexOf("\"result\""u8) < 0)
        {
            throw new InvalidDataException($"tools/call: {connection.Status} {Encoding.UTF8.GetString(connection.Body)}");
        }
    }

    private void OpenStream(string session)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        lock (_streams)
        {
            _streams.Add(socket);
        }

        socket.Connect(IPAddress.Loopback, gateway.Url.Port);
        socket.Send(Requests.Get(gateway.Url, session));
        var buffer = new byte[4096];
        var head = Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer));
        if (!head.StartsWith("HTTP/1.1 200", StringComparison.Ordinal))
        {
            throw new InvalidDataException("No event stream: " + head);
        }
    }

    private void InParallel(int count, Action<RawConnection, int> act)
    {
        var next = -1;
        var threads = Enumerable.Range(0, Workers).Select(_ => Task.Factory.StartNew(Work, TaskCreationOptions.LongRunning)).ToArray();
        Task.WaitAll(threads);

        void Work()
        {
            using var connection = new RawConnection(new IPEndPoint(IPAddress.Loopback, gateway.Url.Port));
            for (int index; (index = Interlocked.Increment(ref next)) < count;)
            {
                act(connection, index);
            }
        }
    }
}
