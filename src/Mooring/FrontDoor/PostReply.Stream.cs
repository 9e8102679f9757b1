using System.Buffers;
using Microsoft.AspNetCore.Http;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <content>How the answer becomes an event stream: when it turns out to be one, or, for a durable call, before anything is done for it.</content>
internal sealed partial class PostReply
{
    public override async ValueTask<Recording> CommitAsync(string server)
    {
        if (_onlyJson)
        {
            // A client that reads no streams has no way to come back.
            return Recording.Done;
        }

        // :: 1 decided, so that the end of the grace changes nothing any more
        EventStream? begun;
        HttpContext context;
        lock (_gate)
        {
            (begun, context) = (_stream, _context!);
            _isDecided = true;
        }

        if (begun is not null)
        {
            // For a client that reads nothing but streams its head may be out already; a failure is then told on it.
            await begun.SettleAsync();
            return begun.WasGivenId ? Recording.Done : Recording.StoreFailed;
        }

        _services.Grace.Remove(this);

        // :: 2 row and primer in one transaction
        var stream = _services.NewStream(_session, StreamKind.Post);
        string? primer = null;
        stream.Open(Record(stream, server), primer: true, id => primer = id);
        if (!await IsSettledAsync(stream) || primer is null)
        {
            // Should the store take it after all, or have taken it and its answer be lost: there is nothing to come back for.
            stream.Finish(StreamState.Cancelled);
            lock (_gate)
            {
                _isForStore = true;
                _isDecided = false;
            }

            return Recording.StoreFailed;
        }

        if (_services.HasLeft(context))
        {
            stream.Finish(StreamState.Cancelled);
            return Recording.ClientLeft;
        }

        // :: 3 the client gets the primer; from here on the call goes on whether or not it stays
        var connection = new SseConnection(context, _services.Streams, "post") { OnEnded = stream.Detach };
        lock (_gate)
        {
            _connection = connection;
            _stream = stream;
        }

        Start(connection, primer);
        stream.Attach(connection, after: null);
        _session.Outbox.AddCall(stream);
        _context = null;
        _decided.RunContinuationsAsynchronously = true;
        _decided.SetResult(true);
        await connection.TakenAsync();
        return Recording.Done;
    }

    /// <summary>Whether the store has answered. The client has no byte yet, and who is between ends what is silent for so long.</summary>
    private async Task<bool> IsSettledAsync(EventStream stream)
    {
        try
        {
            await stream.SettleAsync().WaitAsync(StorePatience.BeforeRefusal, _services.Time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    public override void GoesTo(string server)
    {
        lock (_gate)
        {
            _server = _open is null ? server : null;
        }
    }

    private void CommitToStream()
    {
        lock (_gate)
        {
            if (_stream is not null || _isDecided || _context is null)
            {
                return;
            }

            _isDecided = true;
            _connection = new SseConnection(_context, _services.Streams, "post");
            _stream = _services.NewStream(_session, StreamKind.Post);
            _stream.Open(Record(_stream, _session.Server ?? _server), _session.HasPrimer, OnOpened);
            _stream.Attach(_connection, after: null);
            _session.Outbox.AddCall(_stream);
            _connection.OnEnded = _stream.Detach;
            _hadLeft = _services.HasLeft(_context);
            // A batch's answers of before, and still under the lock: the last answer of all ends the stream, and must not overtake them.
            foreach (var (id, response) in _responses ?? [])
            {
                _stream.Append(response.ToLine(), Text(id.Span));
            }
        }

        _services.Grace.Remove(this);
        _context = null;
    }

    /// <summary>The stream's row is in the store: the first bytes may go out, and the handler may go on.</summary>
    private void OnOpened(string? primer)
    {
        Start(_connection!, primer);

        // Called from the stream's pump, which must not wait for what the handler does next.
        _decided.RunContinuationsAsynchronously = true;
        _decided.SetResult(true);
    }

    private void Start(SseConnection connection, string? primer) => connection.Start(writer =>
    {
        SseFormat.WriteRetry(writer, _services.Config.Current.Streams.Retry);
        if (primer is null)
        {
            writer.Write(SseFormat.Comment);
        }
        else
        {
            SseFormat.WritePrimer(writer, primer);
        }
    });

    /// <param name="server">Where the call goes, where that is known.</param>
    private StreamRecord Record(EventStream stream, string? server) => new()
    {
        SessionId = _session.Id,
        StreamId = stream.Id,
        Kind = StreamKind.Post,
        State = StreamState.Running,
        RequestIds = _open is null ? [Text(_only.Span)] : [.. _open.Select(id => Text(id.Span))],
        Server = server,
        Replica = _services.Replica,
        Changed = _services.Time.GetUtcNow(),
        Cursor = _place,
    };
}
