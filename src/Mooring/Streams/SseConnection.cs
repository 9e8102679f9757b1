using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Mooring.Network;
using Mooring.Telemetry;

namespace Mooring.Streams;

/// <summary>
/// One open event-stream response. Made by a request handler, which awaits <see cref="RunAsync"/>; anyone may write meanwhile.
/// Writes go into the response as they come; while the client is not taking them they wait in a bounded buffer, and when that is
/// full or too old the connection ends with <see cref="StreamReason.SlowReader"/>. Nothing that writes ever waits for the reader.
/// </summary>
internal sealed partial class SseConnection
{
    private readonly Lock _gate = new();
    private readonly HttpContext _context;
    private readonly StreamTable _table;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private PipeWriter? _writer;
    private ArrayBufferWriter<byte>? _waiting;
    private TaskCompletionSource? _taken;
    private long _due;
    private long _flushStarted;
    private bool _flushing;
    private bool _completing;
    private int _ended;

    public SseConnection(HttpContext context, StreamTable table, string transport)
    {
        _context = context;
        _table = table;
        Transport = transport;
        Opened = table.Now;
    }

    /// <summary>The metric tag: <c>post</c>, <c>get</c> or <c>sse</c>.</summary>
    public string Transport { get; }

    /// <summary>The metric tag: <c>session</c>, or <c>stateless</c> for clients of the version without.</summary>
    public string Era { get; init; } = "session";

    public long Opened { get; }

    /// <summary>Whether it goes on when the identity it was opened with expires: what it carries was allowed when it began, and its client has no way back.</summary>
    public bool OutlivesItsPass { get; init; }

    public StreamReason Reason { get; private set; }

    public ClosedBy By { get; private set; }

    public bool IsOpen => Volatile.Read(ref _ended) == 0;

    /// <summary>Place in the table; the table's business.</summary>
    public int Index { get; set; } = -1;

    /// <summary>Told once when the connection ended, whoever ended it.</summary>
    public Action<SseConnection>? OnEnded { get; set; }

    /// <summary>Sends the head of the response and the first bytes at once, then stays until the stream ends.</summary>
    /// <param name="first">Writes the first bytes; a comment where it writes nothing.</param>
    public async Task RunAsync(Action<IBufferWriter<byte>>? first = null)
    {
        Start(first);
        await using var left = _context.RequestAborted.UnsafeRegister(static state => ((SseConnection)state!).OnGone(), this);
        // Told first, while the socket still knows how its connection ended.
        await using var lost = (_context.Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed ?? default)
            .UnsafeRegister(static state => ((SseConnection)state!).OnGone(), this);
        if (_context.Features.Get<IHttpAuthenticationFeature>()?.User is not IStreamPass pass)
        {
            await _done.Task;
            return;
        }

        await using var over = pass.Open().UnsafeRegister(static state => ((SseConnection)state!).OnPassEnded(), this);
        try
        {
            await _done.Task;
        }
        finally
        {
            pass.Close();
        }
    }

    /// <summary>Opens the response for writing; <see cref="RunAsync"/> does it where nobody did before.</summary>
    public void Start(Action<IBufferWriter<byte>>? first = null)
    {
        lock (_gate)
        {
            if (_writer is not null)
            {
                return;
            }

            var response = _context.Response;
            response.StatusCode = StatusCodes.Status200OK;
            SseFormat.WriteHeaders(response);
            _writer = response.BodyWriter;
            if (first is null)
            {
                _writer.Write(SseFormat.Comment);
            }
            else
            {
                first(_writer);
            }

            Flush();
        }

        _table.Add(this);
    }

    /// <summary>Writes one message; false when the connection has ended (the message is then nobody's but the log's).</summary>
    public bool WriteMessage(string? id, ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            if (_ended != 0 || _completing)
            {
                return false;
            }

            SseFormat.WriteMessage(Target(), id, line);
            return Sent(line.Length);
        }
    }

    /// <summary>Completes when the reader has taken what was written, or the connection ended: whoever has a lot to say goes at the reader's pace.</summary>
    public Task TakenAsync()
    {
        lock (_gate)
        {
            return _flushing && _ended == 0
                ? (_taken ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task
                : Task.CompletedTask;
        }
    }

    public void Write(Action<IBufferWriter<byte>> write)
    {
        lock (_gate)
        {
            if (_ended == 0 && !_completing)
            {
                write(Target());
                Sent(length: 0);
            }
        }
    }

    /// <summary>Ends the response after everything written so far; the reader may take its time up to the write timeout.</summary>
    public void Complete(StreamReason reason, ClosedBy by)
    {
        lock (_gate)
        {
            if (_ended != 0 || _completing)
            {
                return;
            }

            Reason = reason;
            By = by;
            _completing = true;
            if (_flushing)
            {
                return;
            }
        }

        Finish();
    }

    /// <summary>When it next wants a comment, or an end to its waiting for the reader.</summary>
    public long Due => Volatile.Read(ref _due);

    /// <summary>What is due now: a keep-alive comment, or the end of a reader that takes nothing.</summary>
    public void Tick(long now)
    {
        if (now < Volatile.Read(ref _due))
        {
            return;
        }

        lock (_gate)
        {
            if (_ended != 0)
            {
                return;
            }

            if (_flushing)
            {
                if (now - _flushStarted < _table.WriteTimeout)
                {
                    _due = _flushStarted + _table.WriteTimeout;
                    return;
                }
            }
            else
            {
                Volatile.Write(ref _comment, Math.Max(0, now - _due));
                _writer!.Write(SseFormat.Comment);
                Flush();
                return;
            }
        }

        // Also where what it does not take is something else: the next comment cannot be sent.
        Volatile.Write(ref _comment, NoComment);
        _table.KeepAliveFailed(this);
        AbortSlow();
    }

    /// <summary>
    /// Has the connection under it end with this response. Its head was sent when nobody knew yet that the gateway would stop, and invites whoever holds
    /// the other end, often a balancer, to send the next request on it. HTTP/2 has a word of its own for that.
    /// </summary>
    public void EndConnection()
    {
        // Under the lock: once it has ended the server may use the context for another request.
        lock (_gate)
        {
            if (_ended == 0 && !HttpProtocol.IsHttp2(_context.Request.Protocol))
            {
                _context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
            }
        }
    }

    /// <summary>Cuts the connection without waiting for the reader.</summary>
    public void Abort(StreamReason reason, ClosedBy by)
    {
        if (End(reason, by))
        {
            _context.Abort();
        }
    }

    private IBufferWriter<byte> Target() => _flushing ? _waiting ??= new ArrayBufferWriter<byte>(1024) : _writer!;

    private bool Sent(int length)
    {
        if (!_flushing)
        {
            Flush();
            return true;
        }

        // One message always fits, however large: two at once do not make a reader slow.
        if (_waiting is null || _waiting.WrittenCount - length <= _table.Buffer)
        {
            return true;
        }

        // Not under the lock: the end tells the stream, which has a lock of its own.
        Task.Run(AbortSlow).Unawaited(_table.Logger);
        return true;
    }

    /// <summary>The reader took too little for too long; where its machine acknowledges nothing either, it is not slow but gone.</summary>
    private void AbortSlow() => Abort(LookAtPeer() == Peer.Vanished ? StreamReason.ClientVanished : StreamReason.SlowReader, ClosedBy.Client);

    private void OnGone() => End(
        LookAtPeer() switch
        {
            Peer.Vanished => StreamReason.ClientVanished,
            Peer.TakesNothing => StreamReason.SlowReader,
            _ => StreamReason.ClientClosed,
        },
        ClosedBy.Client);

    /// <summary>Its client comes back with another one, to what is kept for it.</summary>
    private void OnPassEnded()
    {
        if (!OutlivesItsPass || _context.Features.Get<IHttpAuthenticationFeature>()?.User is IStreamPass { IsRevoked: true })
        {
            Complete(StreamReason.AuthExpired, ClosedBy.Gateway);
        }
    }

    private Peer LookAtPeer() => PeerSight.Look(_context.Features.Get<IConnectionSocketFeature>()?.Socket);

    private void Flush()
    {
        _due = _table.NextKeepAlive();
        ValueTask<FlushResult> flush;
        try
        {
            flush = _writer!.FlushAsync();
        }
        catch (Exception e)
        {
            // Whoever writes has others to write to; the end is told as where the failure comes later.
            flush = ValueTask.FromException<FlushResult>(e);
        }

        if (flush.IsCompletedSuccessfully)
        {
            CommentLeft(wasTaken: !flush.Result.IsCompleted);
            return;
        }

        _flushing = true;
        _flushStarted = _table.Now;
        _due = _flushStarted + _table.WriteTimeout;
        // Not on this stack, which holds the lock: a flush that has failed already ends the connection.
        Task.Run(() => AwaitFlushAsync(flush)).Unawaited(_table.Logger);
    }

    private async Task AwaitFlushAsync(ValueTask<FlushResult> flush)
    {
        try
        {
            while (true)
            {
                var result = await flush;
                CommentLeft(wasTaken: !result.IsCompleted);
                lock (_gate)
                {
                    _flushing = false;
                    if (_ended != 0 || result.IsCompleted)
                    {
                        break;
                    }

                    _due = _table.NextKeepAlive();
                    if (_waiting is { WrittenCount: > 0 })
                    {
                        _writer!.Write(_waiting.WrittenSpan);
                        _waiting = null;
                        _flushing = true;
                        _flushStarted = _table.Now;
                        _due = _flushStarted + _table.WriteTimeout;
                        flush = _writer!.FlushAsync();
                        continue;
                    }

                    _taken?.TrySetResult();
                    _taken = null;
                    if (!_completing)
                    {
                        return;
                    }
                }

                break;
            }
        }
        catch (Exception)
        {
            // A write failed before anyone said that the connection is over; where the request's abort was first, that is the reason.
            CommentLeft(wasTaken: false);
            End(StreamReason.ClientVanished, ClosedBy.Client);
            return;
        }

        if (_completing)
        {
            Finish();
        }
    }

    private void Finish() => End(Reason, By);

    private bool End(StreamReason reason, ClosedBy by)
    {
        // Under the lock: once it has ended nobody writes any more, for the server may use the response's memory for another request.
        lock (_gate)
        {
            if (_ended != 0)
            {
                return false;
            }

            _ended = 1;
            _taken?.TrySetResult();
        }

        Reason = reason;
        By = by;
        _table.Remove(this);
        OnEnded?.Invoke(this);
        _done.TrySetResult();
        return true;
    }
}
