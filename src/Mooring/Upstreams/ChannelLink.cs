using System.Buffers.Text;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>
/// A link over one channel that carries everything: stdio, a connector, HTTP+SSE. Answers are paired by the gateway's own ids;
/// progress is paired by its token; what else the server says belongs to the session, not to one call.
/// </summary>
internal sealed partial class ChannelLink : Link
{
    /// <summary>Notifications and answers that may wait for a server to read them; one that asks and asks and reads no answer would fill the memory.</summary>
    private const int MostUnsent = 500;

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Waiter> _waiting = [];
    private readonly IMessageChannel _channel;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly Lazy<Task> _channelClosed;
    private string? _closed;
    private int _unsent;
    private Task _reading = Task.CompletedTask;

    public ChannelLink(Upstream upstream, LinkParameters parameters, ILinkOwner owner, IMessageChannel channel, ILogger logger)
        : base(upstream, parameters, owner)
    {
        _channel = channel;
        _channelClosed = new Lazy<Task>(() => channel.DisposeAsync().AsTask());
        _logger = logger;
    }

    public override bool IsUsable => Volatile.Read(ref _closed) is null;

    /// <summary>A process of its own, or an event stream that is the session. A connector is in this process and keeps nothing for anybody.</summary>
    public override bool HoldsState => Upstream.Connector is null;

    public override bool TellsRequests => false;

    /// <summary>Whether the server answered <c>initialize</c>, but not with what it should.</summary>
    public bool WasRefused { get; private set; }

    /// <summary>Starts reading.</summary>
    public void Start() => _reading = ReadAsync();

    /// <summary>From now on somebody else hears the server.</summary>
    public void HandOver(ILinkOwner owner) => Owner = owner;

    /// <summary>Shakes hands with the server. After <see cref="Start"/>.</summary>
    /// <returns>Null when the link is open, else why not.</returns>
    public async Task<string?> OpenAsync(CancellationToken cancel)
    {
        var attempt = await RequestAsync("initialize", Parameters.InitializeParams, cancel);
        if (attempt.Kind != AttemptKind.Answered)
        {
            return attempt.Detail;
        }

        if (Accept(attempt.Answer!) is { } wrong)
        {
            WasRefused = true;
            return wrong;
        }

        return await SendAsync(JsonRpc.Notification("notifications/initialized"), cancel) ? null : _channel.EndReason;
    }

    public override async ValueTask<Attempt> CallAsync(PendingRequest request)
    {
        var waiter = new Waiter(request);
        lock (_gate)
        {
            if (_closed is { } why)
            {
                return Attempt.NotExecuted(why);
            }

            _waiting.Add(request.Id, waiter);
        }

        await using var registration = request.Abandoned.UnsafeRegister(
            static state => ((Waiter)state!).Done.TrySetResult(Attempt.Abandoned("")), waiter);
        Task<Sent>? sending = null;
        try
        {
            // A server that does not read can hold a line up for ever. It must not hold up whoever sent it: the line goes on alone.
            sending = SendLineAsync(request.ToSessionMessage().ToLine(), waiter, request.Abandoned).AsTask();
            if (await Task.WhenAny(sending, waiter.Done.Task) == sending && await sending is var sent and not Sent.Yes)
            {
                if (Remove(request.Id) is null)
                {
                    // Its answer came all the same, or the channel has ended.
                    return await waiter.Done.Task;
                }

                return sent == Sent.No ? Attempt.NotExecuted(_channel.EndReason) : Attempt.Cut(_channel.EndReason);
            }
        }
        catch (OperationCanceledException) when (request.Abandoned.IsCancellationRequested)
        {
            waiter.Done.TrySetResult(Attempt.Abandoned(""));
        }
        catch
        {
            // Whatever it was, nobody waits for the answer any more.
            Remove(request.Id);
            throw;
        }

        var attempt = await waiter.Done.Task;
        if (attempt.Kind == AttemptKind.Abandoned)
        {
            Remove(request.Id);
            if (request.TimedOut && sending is not { IsCompletedSuccessfully: true })
            {
                // Whoever did not take one line for as long as that takes no other either.
                await GiveUpAsync();
            }
        }

        return attempt;
    }

    public override async ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel)
    {
        if (Interlocked.Increment(ref _unsent) > Math.Max(MostUnsent, 2 * Upstream.Config.Concurrency))
        {
            Interlocked.Decrement(ref _unsent);
            await GiveUpAsync();
            return false;
        }

        try
        {
            var line = json.ToArray();
            Message.Flatten(line);
            return await SendLineAsync(line, waiter: null, cancel).AsTask().WaitAsync(cancel) == Sent.Yes;
        }
        finally
        {
            Interlocked.Decrement(ref _unsent);
        }
    }

    public override Task<Attempt> ReinitializeAsync(string? lost, CancellationToken cancel) =>
        // A channel and its session are one: when it is gone its owner opens another link.
        Task.FromResult(Attempt.NotExecuted(_closed ?? "the channel has no session to renew"));

    public override async ValueTask DisposeAsync()
    {
        Close("the gateway closed the link");
        await _closing.CancelAsync();
        await _channelClosed.Value;
        await _reading;
    }

    /// <summary>Its server does not read; its owner opens another link.</summary>
    private async Task GiveUpAsync()
    {
        if (IsUsable)
        {
            Log.NotReading(_logger, Upstream.Name);
            Close("it did not read what it was sent");
            await _closing.CancelAsync();
        }
    }

    private async ValueTask<Sent> SendLineAsync(byte[] line, Waiter? waiter, CancellationToken cancel)
    {
        await _sending.WaitAsync(cancel);
        try
        {
            if (!IsUsable)
            {
                return Sent.No;
            }

            if (waiter is not null)
            {
                waiter.IsLeaving = true;
            }

            return await _channel.SendAsync(line, cancel, waiter?.Request);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task ReadAsync()
    {
        var why = "";
        try
        {
            while (true)
            {
                var read = await _channel.ReadAsync(_closing.Token);
                if (read.IsEnd)
                {
                    why = _channel.EndReason;
                    break;
                }

                if (read.Frame is { } only)
                {
                    await Receive(only).WaitAsync(_closing.Token);
                    continue;
                }

                foreach (var (frame, fault, spoiled) in read.In(Version, Upstream.Limits))
                {
                    if (frame is not null)
                    {
                        await Receive(frame).WaitAsync(_closing.Token);
                        continue;
                    }

                    Log.NotAMessage(_logger, Upstream.Name, fault!);
                    if (spoiled is { } id && Remove(id) is { } waiter)
                    {
                        waiter.Done.TrySetResult(Attempt.Unknown($"it answered with something that is not a message: {fault}"));
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Whoever cancelled has said why.
            why = _closed!;
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            why = e.Message;
        }
        catch (Exception e)
        {
            // A bug of ours in handling one message; the link is replaced rather than left deaf.
            Log.ReadingFailed(_logger, e, Upstream.Name);
            why = "the gateway failed to read it";
        }

        Close(why);
        Owner.OnClosed(this, why);

        // A process that closed its output may still run, and nobody will ask for it again.
        _ = _channelClosed.Value;
    }

    /// <returns>Done when the next may be read.</returns>
    private Task Receive(Frame frame)
    {
        if (frame.Kind is FrameKind.Result or FrameKind.Error)
        {
            if (JsonRpc.TryReadId(frame.Id, out var id) && Remove(id) is { } waiter)
            {
                waiter.Done.TrySetResult(Attempt.Answered(frame));
            }
            else
            {
                Log.UnexpectedAnswer(_logger, Upstream.Name);
            }

            return Task.CompletedTask;
        }

        if (Related(frame) is { } related)
        {
            return related.Tell(this, frame);
        }

        Owner.OnMessage(this, frame, related: null);
        return Owner.ReadyAsync();
    }

    private Waiter? Related(Frame frame)
    {
        if (frame.Method != McpMethod.Progress || !frame.Envelope.ProgressToken.IsPresent)
        {
            return null;
        }

        var token = frame.Span(frame.Envelope.ProgressToken);
        lock (_gate)
        {
            // Where several share the link, the token is the id of the call.
            if (Utf8Parser.TryParse(token, out long id, out var used) && used == token.Length && _waiting.TryGetValue(id, out var exchanged) && exchanged.Request.ProgressToken.SequenceEqual(token))
            {
                return exchanged;
            }

            foreach (var (_, waiter) in _waiting)
            {
                if (waiter.Request.ProgressToken.SequenceEqual(token))
                {
                    return waiter;
                }
            }
        }

        return null;
    }

    private Waiter? Remove(long id)
    {
        lock (_gate)
        {
            return _waiting.Remove(id, out var waiter) ? waiter : null;
        }
    }

    private void Close(string why)
    {
        Waiter[] left;
        lock (_gate)
        {
            _closed ??= why;
            left = [.. _waiting.Values];
            _waiting.Clear();
        }

        foreach (var waiter in left)
        {
            waiter.Done.TrySetResult(waiter.IsLeaving ? Attempt.Cut(why) : Attempt.NotExecuted(why));
        }
    }

    private sealed class Waiter(PendingRequest request)
    {
        /// <summary>Bytes that may be under way to a client that is not ready for them; as much as the default buffer of a stream's reader.</summary>
        private const int MostBehind = 256 * 1024;

        private Task _ready = Task.CompletedTask;
        private int _behind;

        public PendingRequest Request => request;

        /// <summary>Whether any of it may have reached the server.</summary>
        public volatile bool IsLeaving;

        public TaskCompletionSource<Attempt> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>
        /// Passes on progress. Where others have requests on the link it waits for nobody: what is too much for a client that is not ready is left out,
        /// as progress may be (2025-11-25, basic/utilities/progress). Only the link's reading calls it.
        /// </summary>
        /// <returns>Done when the next may be read.</returns>
        public Task Tell(Link link, Frame frame)
        {
            if (!request.SharesLink)
            {
                request.OnRelated(link, frame);
                return request.ReadyAsync();
            }

            _behind = _ready.IsCompleted ? 0 : _behind + frame.Bytes.Length;
            if (_behind <= MostBehind)
            {
                request.OnRelated(link, frame);
                _ready = request.ReadyAsync();
            }
            else
            {
                // Whatever its client takes, its server is at work.
                request.Sign();
            }

            return Task.CompletedTask;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Warning, "Server {Server} sent something that is not a message: {Fault}", EventName = "UpstreamNotAMessage")]
        public static partial void NotAMessage(ILogger logger, string server, string fault);

        [LoggerMessage(301, LogLevel.Warning, "Server {Server} sent an answer that nobody waits for.", EventName = "UpstreamUnexpectedAnswer")]
        public static partial void UnexpectedAnswer(ILogger logger, string server);

        [LoggerMessage(303, LogLevel.Warning, "Server {Server} does not read what it is sent; its link is closed and opened anew.", EventName = "UpstreamNotReading")]
        public static partial void NotReading(ILogger logger, string server);

        [LoggerMessage(302, LogLevel.Error, "Reading from server {Server} failed.", EventName = "UpstreamReadingFailed")]
        public static partial void ReadingFailed(ILogger logger, Exception exception, string server);
    }
}
