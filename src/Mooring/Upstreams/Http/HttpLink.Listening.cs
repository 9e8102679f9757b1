using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Upstreams.Http;

/// <content>The standalone GET stream, for what the server says outside of any request.</content>
internal sealed partial class HttpLink
{
    private CancellationTokenSource? _listening;
    private Task _relaying = Task.CompletedTask;
    private volatile bool _isSilent;

    public override bool HasToListen => true;

    public override bool Listens => _listening is not null;

    public override bool Hears => Listens && !_isSilent;

    public override void Listen(string? after)
    {
        lock (_gate)
        {
            if (_listening is not null || _closed)
            {
                return;
            }

            _listening = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
            _relaying = ListenAsync(after, _listening.Token);
        }
    }

    public override async Task StopListeningAsync()
    {
        CancellationTokenSource? listening;
        Task relaying;
        lock (_gate)
        {
            (listening, _listening) = (_listening, null);
            relaying = _relaying;
        }

        if (listening is not null)
        {
            await listening.CancelAsync();
        }

        // Also where somebody else has just stopped it: it may still be handing over what it heard last.
        await relaying;
        listening?.Dispose();
    }

    private async Task ListenAsync(string? after, CancellationToken cancel)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var listened = _session;
        var cursor = CursorOf(listened, after);
        var pause = new StreamPause(_time);
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                var (session, renewed) = Current();
                if (session != listened)
                {
                    // A call has renewed it meanwhile: event ids of the session before mean nothing, or something else, in the new one.
                    (listened, cursor) = (session, CursorOf(session, after: null));
                }

                var (response, status) = await GetAsync(session, cursor.Id, cancel);
                if (response is not null)
                {
                    pause.Begun();
                    pause.Ended(await RelayAsync(response, session, cursor, cancel));
                }
                else if (status == 404 && session is not null)
                {
                    // How long the old session was refused says nothing about the new one; one refused time and again does.
                    pause.Refused();
                    await ReinitializeAsync(session, cancel);
                    renewed = Current().Renewed;
                }
                // 409: somebody else listens on this session, maybe another gateway process that is about to end.
                else if (status is >= 400 and < 500 and not (404 or 408 or 409 or 429))
                {
                    if (cursor.Id is null)
                    {
                        Log.NoGetStream(_logger, Upstream.Name, status);
                        // Not on this session; the next may be with another release of the server.
                        await StaySilentAsync(renewed, cancel);
                        pause.Reset();
                        continue;
                    }

                    // It keeps its events for a while only; what comes from now on is better than nothing.
                    Log.CursorRefused(_logger, Upstream.Name, status);
                    cursor = CursorOf(session, after: null);
                    pause.Refused();
                }

                await PauseAsync(pause.Next(cursor.Retry), renewed, cancel);
                if (renewed.IsCompleted)
                {
                    pause.Reset();
                }
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                // The link is closed, or listens no more.
            }
            catch (Exception e)
            {
                // A bug of ours in one message, or a renewal that took too long: it is listened to again rather than left deaf.
                Log.ListeningFailed(_logger, e, Upstream.Name);
                pause.Refused();
                await Task.Delay(pause.Next(cursor.Retry), _time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Nothing can be heard until a call has renewed the session: meanwhile the owner looks for itself.</summary>
    private async Task StaySilentAsync(Task renewed, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _isSilent = true;
        var looking = Owner.LookForChangesAsync(this, over.Token);
        try
        {
            var waiting = renewed.WaitAsync(cancel);
            if (await Task.WhenAny(waiting, looking) == looking)
            {
                // It may have been nothing to do; where it failed, that is thrown.
                await looking;
            }

            await waiting;
        }
        finally
        {
            _isSilent = false;
            await over.CancelAsync();
            await looking;
        }
    }

    /// <summary>From where on to listen; the first place that the server names before it says anything is the owner's to keep.</summary>
    private Cursor CursorOf(string? session, string? after)
    {
        var cursor = new Cursor { Id = after };
        if (after is null && session is not null)
        {
            cursor.OnPrimed = () =>
            {
                if (cursor.Id is { Length: > 0 } id)
                {
                    cursor.OnPrimed = null;
                    Owner.OnPrimed(this, new EventOrigin(Upstream.Name, session, id));
                }
            };
        }

        return cursor;
    }

    /// <summary>The session, and what completes when a call has renewed it.</summary>
    private (string? Session, Task Renewed) Current()
    {
        lock (_gate)
        {
            return (_session, _renewed.Task);
        }
    }

    /// <summary>Waits, at most until a call has renewed the session: what is said on the new one must not wait because the old one was refused for long.</summary>
    private async Task PauseAsync(TimeSpan pause, Task renewed, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await Task.WhenAny(renewed, Task.Delay(pause, _time, over.Token));
        await over.CancelAsync();
        cancel.ThrowIfCancellationRequested();
    }

    /// <returns>Whether anything came, so that the next try may be soon.</returns>
    private async Task<bool> RelayAsync(HttpResponseMessage response, string? session, Cursor cursor, CancellationToken cancel)
    {
        var any = false;
        using (response)
        {
            try
            {
                using var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), MaxEventBytes);
                while (true)
                {
                    var (frame, end) = await ReadFrameAsync(reader, cursor, awaited: null, cancel);
                    if (frame is null)
                    {
                        Log.GetStreamEnded(_logger, Upstream.Name, end.ToString());
                        return any;
                    }

                    any = true;
                    cursor.OnPrimed = null;
                    if (frame.Kind is FrameKind.Request or FrameKind.Notification)
                    {
                        var origin = session is not null && cursor is { More.Count: 0, Id: { Length: > 0 } id } ? new EventOrigin(Upstream.Name, session, id) : null;
                        // Stopped means that nothing more comes, whatever was read already.
                        cancel.ThrowIfCancellationRequested();
                        Owner.OnMessage(this, frame, related: null, origin);
                        await Owner.ReadyAsync().WaitAsync(cancel);
                    }
                    else
                    {
                        Log.WrongAnswer(_logger, Upstream.Name);
                    }
                }
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                Log.GetStreamEnded(_logger, Upstream.Name, e.Message);
                return any;
            }
        }
    }
}
