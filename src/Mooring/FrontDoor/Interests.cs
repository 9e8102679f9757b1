using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Resources that open requests of clients without sessions listen to. The first request that wants one has its server asked for it, in the name
/// of the session that stands for the client; the last one to go has it unsubscribed.
/// </summary>
internal sealed partial class Interests(ConfigStore config, TimeProvider time, SessionTable sessions, Views views, Discovery discovery, SharedLinks shared, AuditLog audit, ILogger<Interests> logger)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(Session Session, string Uri), Interest> _all = [];

    /// <summary>One more request listens to a resource.</summary>
    /// <returns>Whether its server tells of changes: it was asked and did not refuse. Never fails.</returns>
    public Task<bool> EnterAsync(Session session, string uri)
    {
        lock (_gate)
        {
            if (!_all.TryGetValue((session, uri), out var interest))
            {
                _all[(session, uri)] = interest = new Interest();
            }

            interest.Count++;
            return interest.Tail = SettleAsync(session, uri, interest, interest.Tail);
        }
    }

    /// <summary>One fewer; each call of <see cref="EnterAsync"/> gets one.</summary>
    public void Leave(Session session, string uri)
    {
        lock (_gate)
        {
            var interest = _all[(session, uri)];
            interest.Count--;
            interest.Tail = SettleAsync(session, uri, interest, interest.Tail);
        }
    }

    /// <summary>One after the other, so that the server's last word is the last that was wanted.</summary>
    private async Task<bool> SettleAsync(Session session, string uri, Interest interest, Task<bool> before)
    {
        await Task.Yield();
        var subscribed = await before;
        bool wanted;
        lock (_gate)
        {
            wanted = interest.Count > 0;
        }

        if (wanted != subscribed)
        {
            subscribed = await AskAsync(session, uri, wanted);
        }

        lock (_gate)
        {
            if (interest.Count == 0 && !subscribed && ReferenceEquals(_all.GetValueOrDefault((session, uri)), interest))
            {
                // It, and not one that took its place before this one's turn came.
                _all.Remove((session, uri));
            }
        }

        return subscribed;
    }

    /// <summary>Whoever has its turn next waits for this one: it never fails.</summary>
    private async Task<bool> AskAsync(Session session, string uri, bool wanted)
    {
        try
        {
            if (wanted)
            {
                return await SubscribeAsync(session, uri);
            }

            await UnsubscribeAsync(session, uri);
            return false;
        }
        catch (OperationCanceledException)
        {
            // It takes too long: not honoured, which the client is told.
        }
        catch (Exception e)
        {
            Log.AskFailed(logger, e);
        }

        try
        {
            await ForgetAsync(session, uri);
        }
        catch (Exception e)
        {
            Log.AskFailed(logger, e);
        }

        return false;
    }

    private async Task<bool> SubscribeAsync(Session session, string uri)
    {
        if (views.ServerOf(session, uri) is not { } place || !MaySubscribe(session, place.Upstream))
        {
            return false;
        }

        if (session.Access.To(place.Upstream.Name) == PolicyEffect.Deny)
        {
            Note(session, place, "denied");
            return false;
        }

        // Noted first: a link that is opened for it, now or ever, brings it along.
        await sessions.ChangeAsync(session, r => r with { Subscriptions = [.. r.Subscriptions.Where(s => s != uri), uri] });
        using var limit = new CancellationTokenSource(config.Current.Calls.FirstListWait, time);
        var (link, _) = await session.Links.OpenAsync(place.Upstream, limit.Token);
        var attempt = link is null ? default : await link.RequestAsync("resources/subscribe", LinkWishes.Uri(place.Uri), limit.Token);
        if (attempt.Answer is { Kind: FrameKind.Result })
        {
            Note(session, place, "result");
            return true;
        }

        Note(session, place, "error");

        await ForgetAsync(session, uri);
        return false;
    }

    /// <summary>It is noted as what the server is asked.</summary>
    private void Note(Session session, (Upstream Upstream, string Uri) place, string outcome)
    {
        if (audit.IsOn)
        {
            var request = Frame.Parse([.. "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":"u8, .. LinkWishes.Uri(place.Uri), (byte)'}']);
            new AuditedCall(audit, request, session.Audited(request: null)) { Server = place.Upstream.Name }.End(outcome);
        }
    }

    private async Task UnsubscribeAsync(Session session, string uri)
    {
        var place = views.ServerOf(session, uri);
        await ForgetAsync(session, uri);
        if (place is not { } at)
        {
            return;
        }

        if (!at.Upstream.IsPerSession)
        {
            if (!sessions.OthersSubscribe(session, at))
            {
                await shared.UnsubscribeAsync(at.Upstream, at.Uri);
            }

            return;
        }

        using var limit = new CancellationTokenSource(config.Current.Calls.FirstListWait, time);
        foreach (var link in session.Links.Open.Where(l => l.Upstream == at.Upstream))
        {
            await link.UnsubscribeAsync(at.Uri, limit.Token);
        }
    }

    private Task ForgetAsync(Session session, string uri) =>
        sessions.ChangeAsync(session, r => r with { Subscriptions = [.. r.Subscriptions.Where(s => s != uri)] });

    private bool MaySubscribe(Session session, Upstream upstream) =>
        discovery.CapabilitiesOf(session, upstream.Name) is not { } capabilities || JsonFields.IsTrue(JsonFields.Object(capabilities, "resources"u8), "subscribe"u8);

    private sealed class Interest
    {
        public int Count { get; set; }

        public Task<bool> Tail { get; set; } = Task.FromResult(false);
    }

    private static partial class Log
    {
        [LoggerMessage(143, LogLevel.Error, "Asking a server to tell of a resource, or not to any more, failed; it is taken as not told of.", EventName = "InterestFailed")]
        public static partial void AskFailed(ILogger logger, Exception exception);
    }
}
