using System.Text;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <summary>
/// Where what belongs to a call of HTTP+SSE goes: the one stream of its session. Its client knows of a dead process by the end of that stream, unless the stream
/// is at another replica, or came to be there: such a call is on record, so that whoever finds it left behind can say that its outcome is unknown.
/// </summary>
/// <param name="session">Whose it is.</param>
/// <param name="requestId">The client's id, a raw JSON token.</param>
/// <param name="services">Shared parts.</param>
internal sealed class LegacyReply(Session session, ReadOnlyMemory<byte> requestId, FrontDoorServices services) : Reply
{
    /// <summary>What is answered by then costs no record. A stream that moves in that time and a process that dies in it are not met together.</summary>
    private static readonly TimeSpan RecordedAfter = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly long _began = services.Time.GetTimestamp();
    private string? _server;
    private StreamRecord? _record;
    private Task<bool> _recorded = Task.FromResult(true);
    private bool _isOver;

    public override bool IsConnected => session.Outbox.IsConnected;

    /// <summary>Completes when the call is on record, or the store did not take it: it goes on all the same.</summary>
    public Task Recorded
    {
        get
        {
            lock (_gate)
            {
                return _recorded;
            }
        }
    }

    public override void GoesTo(string server)
    {
        _server = server;
        if (!session.Outbox.HasStream)
        {
            Record();
        }
    }

    /// <summary>What is under way for so long may outlive the stream that it was asked on.</summary>
    public override void Look(long now)
    {
        if (services.Time.GetElapsedTime(_began, now) >= RecordedAfter)
        {
            Record();
        }
    }

    public override void Send(byte[] line) => session.Outbox.Send(line);

    public override bool Show(byte[] line)
    {
        if (session.Outbox.Legacy is not { IsAttached: true } stream)
        {
            return false;
        }

        stream.ShowOnly(line);
        return true;
    }

    public override Task ReadyAsync() => session.Outbox.ReadyAsync();

    protected override void Finish(ReadOnlyMemory<byte> requestId, Message response)
    {
        var line = response.ToLine();
        if (End() is not { } record)
        {
            session.Outbox.SendKept(line).Unawaited(services.Logger);
        }
        else
        {
            FinishAsync(record, line).Unawaited(services.Logger);
        }
    }

    protected override void Drop(ReadOnlyMemory<byte> requestId)
    {
        // A cancelled request has no answer.
        if (End() is { } record)
        {
            CloseAsync(record).Unawaited(services.Logger);
        }
    }

    private void Record()
    {
        lock (_gate)
        {
            if (_isOver)
            {
                return;
            }

            if (_record is not null)
            {
                if (_recorded is { IsCompletedSuccessfully: true, Result: false })
                {
                    // The store did not take it then; or it did, and its answer was lost.
                    _recorded = OpenAgainAsync(_record);
                }

                return;
            }

            _record = new StreamRecord
            {
                SessionId = session.Id,
                StreamId = EventId.NewRecord(),
                Kind = StreamKind.Post,
                State = StreamState.Running,
                RequestIds = [Encoding.UTF8.GetString(requestId.Span)],
                Server = _server,
                Replica = services.Replica,
                Changed = services.Time.GetUtcNow(),
            };
            _recorded = session.Log.OpenAsync(_record, primer: null);
        }
    }

    private async Task<bool> OpenAgainAsync(StreamRecord record)
    {
        try
        {
            return await session.Log.OpenAsync(record, primer: null, again: true);
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }

    /// <returns>The record, where there is one; none is made any more.</returns>
    private StreamRecord? End()
    {
        lock (_gate)
        {
            _isOver = true;
            return _record;
        }
    }

    /// <summary>Until the answer is lost no more with this process the record has to stay.</summary>
    private async Task FinishAsync(StreamRecord record, byte[] line)
    {
        if ((record.Replica != services.Replica || (services.Peers.MayBeTakenForDead && !session.Outbox.HasStream)) && !await IsOursAsync(record))
        {
            session.Log.CameTooLate(record.StreamId);
            return;
        }

        await session.Outbox.SendKept(line);
        await CloseAsync(record);
    }

    /// <summary>The others may have taken this process for dead: whoever is its heir has told the client that the outcome is unknown, or is about to.</summary>
    private async Task<bool> IsOursAsync(StreamRecord record)
    {
        while (true)
        {
            try
            {
                await _recorded;
                var now = await session.Log.FindAsync(record.StreamId, CancellationToken.None);
                return now is null || (now.State == StreamState.Running && now.Replica == record.Replica);
            }
            catch (StoreException) when (!session.Outbox.HasStream)
            {
                // It has to be back before the answer can get to where the stream is.
                await session.Log.PauseAsync();
            }
            catch (StoreException)
            {
                // An answer too many is better than none.
                return true;
            }
        }
    }

    private async Task CloseAsync(StreamRecord record)
    {
        await _recorded;
        try
        {
            // As long as it takes: a record that stays would have the client told once more, whenever this process ends.
            while (!await session.Log.CloseAsync(record.StreamId, StreamState.Finished))
            {
                await session.Log.PauseAsync();
            }
        }
        catch (ObjectDisposedException)
        {
            // The store is closed, and this process ends.
        }
    }
}
