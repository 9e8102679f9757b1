using System.Buffers;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Http;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <summary>
/// The answer of one POST with one request, or a batch of them. Undecided until something is known: all responses within the grace make
/// one body; anything else (a notification, a server's request, the end of the grace) makes it an event stream that can be resumed.
/// Made by the request handler, which awaits <see cref="WaitAsync"/>; calls write to it from anywhere, also after the client has left.
/// </summary>
internal sealed partial class PostReply : Reply, IValueTaskSource, IUndecided
{
    private readonly Lock _gate = new();
    private readonly Session _session;
    private readonly FrontDoorServices _services;
    private readonly bool _isBatch;
    private readonly bool _onlyJson;
    private ManualResetValueTaskSourceCore<bool> _decided;
    private HttpContext? _context;
    private List<(ReadOnlyMemory<byte> Id, Message Body)>? _responses;
    private Message _response;
    private bool _hasResponse;
    private EventStream? _stream;
    private SseConnection? _connection;
    private readonly List<ReadOnlyMemory<byte>>? _open;
    private readonly ReadOnlyMemory<byte> _only;
    private int _left;
    private bool _isDecided;
    private bool _asEvent;

    /// <summary>Where the one call goes, once that is known; null for a batch, whose calls may go to several.</summary>
    private string? _server;

    /// <summary>The client was gone before the stream began, so it has no event id to come back with.</summary>
    private bool _hadLeft;

    /// <summary>The store did not take the call's record, or could not say what is needed for it; it was not begun, and the client may send it again.</summary>
    private bool _isForStore;

    /// <summary>The one request was refused for now. Of a batch others may have been taken.</summary>
    private bool _isCrowded;

    /// <param name="context">The POST.</param>
    /// <param name="session">Whose it is.</param>
    /// <param name="requests">Ids of a batch's requests, raw JSON tokens; null where there is one.</param>
    /// <param name="only">The id of the one request.</param>
    /// <param name="isBatch">Whether they came as an array, and are answered as one.</param>
    /// <param name="accept">What the client can read.</param>
    /// <param name="services">Shared parts.</param>
    public PostReply(HttpContext context, Session session, ReadOnlyMemory<byte>[]? requests, ReadOnlyMemory<byte> only, bool isBatch, Accepts accept, FrontDoorServices services)
    {
        _context = context;
        _session = session;
        _services = services;
        _isBatch = isBatch;
        _onlyJson = !accept.HasFlag(Accepts.EventStream);
        _only = only;
        _open = requests is null ? null : [.. requests];
        _left = requests?.Length ?? 1;
        if (!accept.HasFlag(Accepts.Json))
        {
            CommitToStream();
        }
        else
        {
            services.Grace.Add(this);
        }
    }

    public IUndecided? Previous { get; set; }

    public IUndecided? Next { get; set; }

    public long Due { get; set; }

    public bool IsQueued { get; set; }

    public override bool IsConnected => _connection is null ? _context is not null : _connection.IsOpen;

    /// <summary>Whether the answer became an event stream; known once <see cref="WaitAsync"/> completed.</summary>
    public bool IsStream => _stream is not null;

    /// <summary>Completes when it is known what the answer is.</summary>
    public ValueTask WaitAsync() => new(this, _decided.Version);

    /// <summary>Writes the answer that is complete: JSON, or one event where the server answered so.</summary>
    public void WriteWhole(HttpResponse response)
    {
        if (!_hasResponse && _responses is null)
        {
            // Every request was cancelled: there is nothing to answer.
            response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        if (_services.HasLeft(response.HttpContext))
        {
            _services.Calls.Undeliverable();
            return;
        }

        if (_services.Streams.EndsConnections && !HttpProtocol.IsHttp2(response.HttpContext.Request.Protocol))
        {
            // It was asked before the gateway began to stop.
            response.Headers.Connection = "close";
        }

        response.StatusCode = StatusCodes.Status200OK;
        if (_isForStore)
        {
            response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            response.Headers.RetryAfter = Answers.StoreRetryAfter;
        }
        else if (_isCrowded)
        {
            response.StatusCode = StatusCodes.Status429TooManyRequests;
            response.Headers.RetryAfter = Answers.CrowdedRetryAfter;
        }

        if (_asEvent)
        {
            WriteEvent(response);
            return;
        }

        response.ContentType = "application/json";
        if (_responses is null)
        {
            response.ContentLength = _response.Length;
            _response.WriteTo(response.BodyWriter);
            _response.Frame.Dispose();
            return;
        }

        response.ContentLength = 2 + _responses.Sum(r => r.Body.Length) + _responses.Count - 1;
        response.BodyWriter.Write("["u8);
        for (var i = 0; i < _responses.Count; i++)
        {
            response.BodyWriter.Write(i == 0 ? default : ","u8);
            _responses[i].Body.WriteTo(response.BodyWriter);
        }

        response.BodyWriter.Write("]"u8);
    }

    /// <summary>One event and the end. It has no id: with the answer complete there is nothing to come back for, as with a JSON body.</summary>
    private void WriteEvent(HttpResponse response)
    {
        SseFormat.WriteHeaders(response);
        // Its length is known, which spares both sides the chunks.
        var length = _response.Length;
        response.ContentLength = SseFormat.LengthOf(length);
        var line = SseFormat.RoomForMessage(response.BodyWriter, length);
        _response.CopyTo(line);
        Message.Flatten(line);
        response.BodyWriter.Advance(SseFormat.LengthOf(length));
        _response.Frame.Dispose();
    }

    /// <summary>Holds the event stream until it is over or the client has left.</summary>
    public Task StreamAsync() => _connection!.RunAsync();

    public override void Send(byte[] line) => Send(line, place: null);

    public override void Send(byte[] line, CallCursor? place)
    {
        lock (_gate)
        {
            if (_onlyJson && _stream is null)
            {
                // A client that reads no streams has its other stream, or does without.
                _session.Outbox.Send(line);
                return;
            }
        }

        CommitToStream();
        if (_stream is { } stream)
        {
            stream.Append(line, place: _open is null ? place : null);
            Passed(place);
        }
        else
        {
            // The answer is on its way as JSON already.
            _session.Outbox.Send(line);
        }
    }

    public override bool Show(byte[] line)
    {
        if (_stream is { IsAttached: true } stream)
        {
            stream.ShowOnly(line);
            return true;
        }

        return _stream is { } elsewhere && _session.Outbox.ShowElsewhere(elsewhere, line);
    }

    public override Task ReadyAsync() => _stream?.ReadyAsync() ?? _session.Outbox.ReadyAsync();

    public override void RefuseForStore(Frame request, string why)
    {
        // One of a batch says nothing of the others.
        _isForStore |= !_isBatch;
        base.RefuseForStore(request, why);
    }

    protected override void Crowded() => _isCrowded = !_isBatch;

    protected override void Finish(ReadOnlyMemory<byte> requestId, Message response)
    {
        lock (_gate)
        {
            if (_stream is null)
            {
                KeepLocked(requestId, response);
                if (--_left > 0)
                {
                    Answered(requestId);
                    return;
                }

                if (_isDecided)
                {
                    return;
                }

                _isDecided = true;
            }
        }

        if (_stream is null)
        {
            _services.Grace.Remove(this);
            _context = null;
            _decided.SetResult(true);
            return;
        }

        Append(requestId, response);
    }

    protected override void Drop(ReadOnlyMemory<byte> requestId)
    {
        lock (_gate)
        {
            if (--_left > 0)
            {
                Answered(requestId);
                return;
            }

            if (_stream is null)
            {
                _isDecided = true;
            }
        }

        if (_stream is null)
        {
            _services.Grace.Remove(this);
            _context = null;
            _decided.SetResult(true);
            return;
        }

        // Of a batch, the other answers are in the log and stay there for whoever comes back.
        _stream.Finish(_isBatch ? StreamState.Finished : StreamState.Cancelled);
    }

    public override void Streamed(bool isWhole)
    {
        if (isWhole && !_isBatch && !_onlyJson)
        {
            // The answer follows within this very call: as one event, without a row in the store first.
            _asEvent = true;
        }
        else
        {
            OnGraceOver();
        }
    }

    public override void Pause(TimeSpan? retry)
    {
        // Mirrored only where the client can come back for the rest.
        if (_session.Server is null || _stream is not { IsResumable: true } || _connection is not { IsOpen: true } connection)
        {
            return;
        }

        PauseAsync(_stream, connection, retry).Unawaited(_services.Logger);
    }

    private async Task PauseAsync(EventStream stream, SseConnection connection, TimeSpan? retry)
    {
        // The server may pause before our own stream's row is in the store, and with it the first byte out.
        await stream.SettleAsync();
        if (!stream.WasGivenId)
        {
            return;
        }

        connection.Write(writer => SseFormat.WriteRetry(writer, retry ?? _services.Config.Current.Streams.Retry));
        stream.Detach(connection);
        connection.Complete(StreamReason.UpstreamEnded, ClosedBy.Upstream);
    }

    public void OnGraceOver()
    {
        if (!_onlyJson)
        {
            CommitToStream();
        }
    }

    public void GetResult(short token) => _decided.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _decided.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _decided.OnCompleted(continuation, state, token, flags);

    private void Append(ReadOnlyMemory<byte> requestId, Message response)
    {
        var line = response.ToLine();
        lock (_gate)
        {
            Answered(requestId);
            // Under the lock, so that the answer that ends the stream is the last to go in.
            _stream!.Append(line, Text(requestId.Span), finishes: --_left <= 0);
        }

        if (!IsConnected && (_hadLeft || !_stream.WasGivenId))
        {
            _services.Calls.Undeliverable();
        }
    }

    private void Answered(ReadOnlyMemory<byte> requestId) => _open?.RemoveAll(id => id.Span.SequenceEqual(requestId.Span));

    private void KeepLocked(ReadOnlyMemory<byte> requestId, Message response)
    {
        if (_isBatch)
        {
            (_responses ??= []).Add((requestId, response));
            return;
        }

        _response = response;
        _hasResponse = true;
    }

    private static string Text(ReadOnlySpan<byte> token) => System.Text.Encoding.UTF8.GetString(token);
}
