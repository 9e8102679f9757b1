using System.Collections.Concurrent;
using System.Text;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// All requests on one channel (2026-07-28, basic/transports/stdio): answers are told apart by their ids, what is listened to by the id of the
/// request that listens, and what is cancelled is said so.
/// </summary>
internal sealed partial class StatelessChannel(ChannelLink channel, ILogger logger) : IStatelessLeg, ILinkOwner
{
    private readonly ConcurrentDictionary<long, PendingRequest> _listening = new();
    private StatelessLink _link = null!;

    public bool IsUsable => channel.IsUsable;

    public bool TellsRequests => false;

    public bool HoldsState => channel.HoldsState;

    public string EndReason { get; private set; } = "its channel ended";

    public void Attach(StatelessLink link) => _link = link;

    public void Refuse(ReadOnlySpan<byte> id) =>
        // The version knows no answers on this channel, as it knows no questions; a server that asks all the same would wait for ever.
        TellAsync(JsonRpc.Error(id, JsonRpc.MethodNotFound, "Requests of servers go into results in this version of the protocol (2026-07-28).")).Unawaited(logger);

    public async ValueTask<Attempt> CallAsync(StatelessRequest request)
    {
        if (request is Subscription)
        {
            _listening[request.Id] = request;
        }

        Attempt attempt;
        try
        {
            attempt = await channel.CallAsync(request);
            if (attempt.Kind == AttemptKind.Abandoned && request is not Subscription { WasEndedByServer: true } && channel.IsUsable)
            {
                TellAsync(JsonRpc.Cancelled(Encoding.ASCII.GetBytes(request.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)), "no longer wanted")).Unawaited(logger);
            }
        }
        finally
        {
            _listening.TryRemove(request.Id, out _);
        }

        return await request.EndAsync(attempt);
    }

    public void OnMessage(Link link, Frame frame, PendingRequest? related, EventOrigin? origin = null)
    {
        if (frame.Kind == FrameKind.Request)
        {
            _link.RefuseStray(frame);
            return;
        }

        if (frame.Method == McpMethod.Cancelled)
        {
            if (frame.Envelope.RequestId.IsPresent && Listening(frame.Span(frame.Envelope.RequestId)) is Subscription ended)
            {
                ended.EndByServer();
            }

            return;
        }

        if (frame.Envelope.Meta.IsPresent && JsonFields.Find(frame.Span(frame.Envelope.Meta), Subscription.IdKey) is { IsPresent: true } at)
        {
            // One that nobody listens by any more was on its way when it was ended.
            Listening(frame.Span(at.Offset(frame.Envelope.Meta.Start)))?.OnRelated(_link, frame);
            return;
        }

        _link.Owner.OnMessage(_link, frame, related);
    }

    public Task ReadyAsync() => _link.Owner.ReadyAsync();

    public Task OnOpenedAsync(Link link, bool again) => Task.CompletedTask;

    public void OnClosed(Link link, string why)
    {
        EndReason = why;
        _link.Ended(why);
    }

    public ValueTask DisposeAsync() => channel.DisposeAsync();

    private PendingRequest? Listening(ReadOnlySpan<byte> id) =>
        // Some servers make a string of it.
        JsonRpc.TryReadId(id.Trim((byte)'"'), out var number) ? _listening.GetValueOrDefault(number) : null;

    /// <summary>Says something that the server may hear or not.</summary>
    private async Task TellAsync(byte[] message)
    {
        try
        {
            await channel.SendAsync(message, CancellationToken.None);
        }
        catch (IOException e)
        {
            Log.NotTold(logger, e.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(348, LogLevel.Debug, "A server could not be told that a request is cancelled, or refused: {Why}", EventName = "StatelessCancelNotSent")]
        public static partial void NotTold(ILogger logger, string why);
    }
}
