using System.Text;
using Mooring.Audit;
using Mooring.Calls;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Goes on with calls of clients with sessions whose process is gone, from where the server's answer was left: what comes goes into the call's stream, where its
/// client comes back for it at any replica.
/// </summary>
internal sealed partial class LeftCalls(
    CallsLeftBehind left, SessionTable sessions, UpstreamTable upstreams, CallRunner runner, FrontDoorServices services, AuditLog audit, ILogger<LeftCalls> logger) : ICallHeir
{
    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private List<Func<Task>>? _early = [];

    /// <inheritdoc/>
    /// <remarks>It waits until the gateway listens (invariant 3), and so does what is to be told.</remarks>
    public void GoOn(LeftCall call) => Begin(() => GoOnAsync(call));

    public void Tell(StreamRecord record, byte[] answer) => Begin(() => TellAsync(record, answer));

    /// <summary>The gateway listens.</summary>
    public void Start()
    {
        List<Func<Task>> early;
        lock (_gate)
        {
            (early, _early) = (_early ?? [], null);
        }

        early.ForEach(work => work().Unawaited(logger));
    }

    private void Begin(Func<Task> work)
    {
        lock (_gate)
        {
            if (_early is not null)
            {
                _early.Add(work);
                return;
            }
        }

        work().Unawaited(logger);
    }

    /// <summary>The record is this process's now: it stays until the client was told.</summary>
    private async Task TellAsync(StreamRecord record, byte[] line)
    {
        var isTold = false;
        while (true)
        {
            try
            {
                if (!isTold && await sessions.ForPeerAsync(record.SessionId) is { } session)
                {
                    await session.Outbox.SendKept(line);
                }

                // Where there is none it has ended, and its streams with it.
                isTold = true;
                await left.CloseAsync(record);
                return;
            }
            catch (StoreException)
            {
                await Task.Delay(TryAgain, services.Time);
            }
            catch (Exception e)
            {
                // In the store it still runs here, and the next heir tells of it.
                Log.NotGoneOn(logger, e);
                return;
            }
        }
    }

    /// <summary>It is this process's now, and nobody else ends it: the store is asked again as long as the call may take, and what fails otherwise ends it.</summary>
    private async Task GoOnAsync(LeftCall call)
    {
        while (true)
        {
            try
            {
                await TryAsync(call);
                return;
            }
            catch (StoreException) when (services.Time.GetUtcNow() - call.Stream.Changed < services.Config.Current.Calls.HardCap)
            {
                await Task.Delay(TryAgain, services.Time);
            }
            catch (Exception e)
            {
                Log.NotGoneOn(logger, e);
                await EndAsync(call);
                return;
            }
        }
    }

    private async Task EndAsync(LeftCall call)
    {
        try
        {
            await left.EndUnknownAsync(call.Stream, "the gateway process that ran it is gone, and the next one could not go on with it", CancellationToken.None);
        }
        catch (Exception e)
        {
            // In the store it still runs here, and the next heir ends it.
            Log.NotGoneOn(logger, e);
        }
    }

    private async Task TryAsync(LeftCall call)
    {
        var record = call.Stream;
        if (await sessions.ForPeerAsync(record.SessionId) is not { } session)
        {
            // Ended, and its streams with it.
            return;
        }

        if (record.Server is not { } name || upstreams.Find(name) is not { } upstream)
        {
            await left.EndUnknownAsync(record, "the gateway process that ran it is gone, and the server is no longer configured", CancellationToken.None);
            return;
        }

        var stream = services.KnownStream(session, record, shown: 0, call.Last, known: call.Known);
        session.Outbox.TakeOver(stream);
        var reply = new LeftReply(stream) { Access = Access.Everything };
        var request = RequestOf(record.RequestIds[0], call.Place);
        if (audit.IsOn && AuditedCall.IsNoted(request.Method))
        {
            reply.Audit(new AuditedCall(audit, request, session.Audited(request)) { Server = name });
        }

        var age = services.Time.GetUtcNow() - record.Changed;
        runner.ResumeAsync(new Call(session, upstream, request, reply, services.Time, age) { Id = call.Place.Id, MayHaveRun = true, Begins = call.Place }, call.Place).Unawaited(logger);
    }

    /// <summary>The request as it was, without what it asked for: that its server has.</summary>
    private static Frame RequestOf(string id, CallCursor place) => Frame.Parse(
        [
            .. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. Encoding.UTF8.GetBytes(id), .. ",\"method\":"u8, .. JsonText.Quote(place.Method), .. ",\"params\":{\"name\":"u8, .. JsonText.Quote(place.Tool),
            .. place.Token.Length == 0 ? [] : (byte[])[.. ",\"_meta\":{\"progressToken\":"u8, .. Encoding.UTF8.GetBytes(place.Token), (byte)'}'], .. "}}"u8,
        ]);

    /// <summary>Where what belongs to such a call goes: its stream, whoever looks at that.</summary>
    private sealed class LeftReply(EventStream stream) : Reply
    {
        public override bool IsConnected => stream.IsAttached;

        public override void Send(byte[] line) => stream.Append(line);

        public override void Send(byte[] line, CallCursor? place) => stream.Append(line, place: place);

        public override void Reached(CallCursor place)
        {
            stream.Reach(place);
            stream.KeepPlace();
        }

        public override bool Show(byte[] line)
        {
            if (!stream.IsAttached)
            {
                return false;
            }

            stream.ShowOnly(line);
            return true;
        }

        public override Task ReadyAsync() => stream.ReadyAsync();

        protected override void Finish(ReadOnlyMemory<byte> requestId, Message response) =>
            stream.Append(response.ToLine(), Encoding.UTF8.GetString(requestId.Span), finishes: true);

        protected override void Drop(ReadOnlyMemory<byte> requestId) => stream.Finish(StreamState.Cancelled);
    }

    private static partial class Log
    {
        [LoggerMessage(144, LogLevel.Error, "A call that was left behind was not gone on with.", EventName = "LeftCallNotGoneOn")]
        public static partial void NotGoneOn(ILogger logger, Exception exception);
    }
}
