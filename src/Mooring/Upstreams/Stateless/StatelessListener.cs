using Mooring.Protocol;
using Mooring.Telemetry;
using Mooring.Upstreams.Http;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// Listens to a server without sessions on behalf of one link: one <c>subscriptions/listen</c> for all that is wished for. A change of the wishes opens
/// the next one before it ends the one before; what ends is opened again, and what was missed meanwhile is looked for.
/// </summary>
internal sealed partial class StatelessListener(StatelessLink link, IStatelessLeg leg, ListMemory lists, StatelessMemory memory, TimeProvider time, ILogger logger)
{
    /// <summary>How long a server may take to acknowledge.</summary>
    private static readonly TimeSpan AckPatience = TimeSpan.FromSeconds(30);

    /// <summary>How long a client waits for its subscription to be acknowledged.</summary>
    private static readonly TimeSpan SubscribePatience = TimeSpan.FromSeconds(10);

    private readonly Lock _telling = new();
    private readonly Lock _gate = new();
    private readonly SortedSet<string> _uris = new(StringComparer.Ordinal);
    private readonly List<(string Uri, long Version, TaskCompletionSource<bool> Done)> _waiting = [];
    private HashSet<string> _declared = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _version;
    private CancellationTokenSource? _listening;
    private Task _running = Task.CompletedTask;

    public bool Listens
    {
        get
        {
            lock (_gate)
            {
                return _listening is not null;
            }
        }
    }

    /// <summary>What the server says that it tells changes of.</summary>
    public void Declare(byte[] capabilities)
    {
        var declared = new HashSet<string>(StringComparer.Ordinal);
        foreach (var kind in new[] { "tools", "prompts", "resources" })
        {
            var at = JsonFields.Find(capabilities, System.Text.Encoding.ASCII.GetBytes(kind));
            if (at.IsPresent && JsonFields.IsTrue(capabilities.AsSpan(at.Start, at.Length), "listChanged"u8))
            {
                declared.Add(kind);
            }
        }

        lock (_gate)
        {
            _declared = declared;
        }
    }

    public void Start(CancellationToken closing)
    {
        lock (_gate)
        {
            if (_listening is null && !closing.IsCancellationRequested)
            {
                _listening = CancellationTokenSource.CreateLinkedTokenSource(closing);
                _running = Task.WhenAll(RunAsync(_listening.Token), PollAsync(_listening.Token));
            }
        }
    }

    /// <returns>Completes when nothing more can come.</returns>
    public async Task StopAsync()
    {
        CancellationTokenSource? listening;
        Task running;
        lock (_gate)
        {
            (listening, _listening) = (_listening, null);
            running = _running;
        }

        if (listening is not null)
        {
            await listening.CancelAsync();
        }

        await running;
        listening?.Dispose();
    }

    /// <summary>One more resource to listen for.</summary>
    /// <returns>Whether the server will tell of it; true also where that is not known yet: it is asked again until it says.</returns>
    public async ValueTask<bool> SubscribeAsync(string uri, CancellationToken cancel)
    {
        var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            var version = _version;
            if (_uris.Add(uri))
            {
                ChangedLocked();
                version = _version;
            }
            else if (_waiting.FindLast(w => w.Uri == uri) is { Done: not null } asked)
            {
                // Somebody else has just asked for it.
                version = asked.Version;
            }
            else
            {
                return true;
            }

            if (_listening is null)
            {
                // Another gateway process listens, or nobody does yet.
                return true;
            }

            _waiting.Add((uri, version, done));
        }

        await Task.WhenAny(done.Task, Task.Delay(SubscribePatience, time, cancel));
        if (cancel.IsCancellationRequested && Withdraw(uri, done))
        {
            throw new OperationCanceledException(cancel);
        }

        if (!done.Task.IsCompleted || await done.Task)
        {
            return true;
        }

        Unsubscribe(uri);
        return false;
    }

    /// <summary>Whoever asked for it will be told that there is nothing to hear, and takes nothing back later: it is listened for only if somebody else asked too.</summary>
    /// <returns>False where the server has said by now.</returns>
    private bool Withdraw(string uri, TaskCompletionSource<bool> done)
    {
        lock (_gate)
        {
            if (_waiting.RemoveAll(w => w.Done == done) == 0)
            {
                return false;
            }

            if (!_waiting.Exists(w => w.Uri == uri) && _uris.Remove(uri))
            {
                ChangedLocked();
            }

            return true;
        }
    }

    public void Unsubscribe(string uri)
    {
        lock (_gate)
        {
            if (_uris.Remove(uri))
            {
                ChangedLocked();
            }
        }
    }

    private void ChangedLocked()
    {
        _version++;
        _changed.TrySetResult();
        _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private Wish Now()
    {
        lock (_gate)
        {
            var filter = new List<byte>();
            if (memory.DeafFor is { Ticks: > 0 } left)
            {
                return new Wish([], _version, _changed.Task, left);
            }

            foreach (var kind in _declared.Order(StringComparer.Ordinal))
            {
                filter.AddRange(filter.Count == 0 ? "{"u8 : ","u8);
                filter.AddRange(System.Text.Encoding.ASCII.GetBytes($"\"{kind}ListChanged\":true"));
            }

            if (_uris.Count > 0)
            {
                filter.AddRange(filter.Count == 0 ? "{"u8 : ","u8);
                filter.AddRange("\"resourceSubscriptions\":["u8);
                filter.AddRange(_uris.SelectMany((uri, i) => (byte[])[.. i == 0 ? default : ","u8, .. JsonText.Quote(uri)]));
                filter.Add((byte)']');
            }

            if (filter.Count > 0)
            {
                filter.Add((byte)'}');
            }

            return new Wish([.. filter], _version, _changed.Task);
        }
    }

    private async Task RunAsync(CancellationToken cancel)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var pause = new StreamPause(time);
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(pause, cancel);
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                // The link is closed, or listens no more.
            }
            catch (Exception e)
            {
                // A bug of ours in one message: it is listened to again rather than left deaf.
                Log.Failed(logger, e, link.Upstream.Name);
                await Task.Delay(pause.Next(wish: null), time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        Settle(long.MaxValue, _ => true);
    }

    /// <summary>Until it is cancelled, or something fails.</summary>
    private async Task ListenAsync(StreamPause pause, CancellationToken cancel)
    {
        Subscription? current = null;

        // Lists that were read before: another gateway process listened until now.
        var missed = lists.HasAny;
        var hasListened = missed;
        try
        {
            while (true)
            {
                var wish = Now();
                if (wish.Filter.Length == 0)
                {
                    Leave(ref current);
                    Settle(wish.Version, _ => wish.Later is null);
                    await WaitAsync(wish, cancel);
                    continue;
                }

                if (current?.Version != wish.Version)
                {
                    pause.Begun();
                    var next = await OpenAsync(wish, current, cancel);
                    if (current is null or { Ended.IsCompleted: true })
                    {
                        // Nobody listened before the next one did, or nobody does now.
                        missed |= hasListened;
                        current = null;
                    }

                    if (next is null)
                    {
                        Settle(wish.Version, _ => true);
                        await PauseAsync(pause, wish, cancel);
                        continue;
                    }

                    (current, hasListened) = (next, true);
                    Settle(wish.Version, next.HonoursResource);
                    if (missed)
                    {
                        missed = false;
                        await CatchUpAsync(cancel);
                    }
                }

                await Task.WhenAny(current.Ended, wish.Changed, _lost.Task).WaitAsync(cancel);
                if (_lost.Task.IsCompleted)
                {
                    _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    await CatchUpAsync(cancel);
                }

                if (current.Ended.IsCompleted)
                {
                    Log.Over(logger, link.Upstream.Name, Why(await current.Ended));
                    pause.Ended(current.HasTold);
                    (current, missed) = (null, hasListened);
                    await PauseAsync(pause, wish, cancel);
                }
            }
        }
        finally
        {
            Leave(ref current);
        }
    }

    /// <summary>Opens the next one, and then ends the one before.</summary>
    /// <returns>It, or null where the server does not give it.</returns>
    private async Task<Subscription?> OpenAsync(Wish wish, Subscription? before, CancellationToken cancel)
    {
        var next = new Subscription(link, wish.Filter, wish.Version, Hear, cancel);
        Overlap(before, next);
        next.Begin(leg);
        await Task.WhenAny(next.Acknowledged, next.Ended, Task.Delay(AckPatience, time, cancel));
        cancel.ThrowIfCancellationRequested();
        if (next.Acknowledged.IsCompleted)
        {
            _honoured = next;
            EndAsync(before, cancel).Unawaited(logger);
            return next;
        }

        if (next.Ended.IsCompleted)
        {
            var attempt = await next.Ended;
            if (attempt is { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Error } error }
                && error.Span(JsonFields.Find(error.Span(error.Envelope.Error), "code"u8).Offset(error.Envelope.Error.Start)).SequenceEqual("-32601"u8))
            {
                memory.RefusedToListen();
            }

            Log.Over(logger, link.Upstream.Name, Why(attempt));
        }

        next.End();
        Overlap(null, null);
        return null;
    }

    private static void Leave(ref Subscription? current)
    {
        current?.End();
        current = null;
    }

    /// <summary>Waits, at most until something else is wished for; never not at all, since a server may end each one at once.</summary>
    private async Task PauseAsync(StreamPause pause, Wish wish, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await Task.WhenAny(wish.Changed, Task.Delay(pause.Next(wish: null), time, over.Token));
        await over.CancelAsync();
        cancel.ThrowIfCancellationRequested();
    }

    private void Settle(long version, Func<string, bool> isHonoured)
    {
        lock (_gate)
        {
            foreach (var (uri, _, done) in _waiting.Where(w => w.Version <= version))
            {
                done.TrySetResult(isHonoured(uri));
            }

            _waiting.RemoveAll(w => w.Version <= version);
        }
    }

    private static string Why(Attempt attempt) => attempt switch
    {
        { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Error } error } => "it answered " + error,
        { Kind: AttemptKind.Answered } => "it ended it",
        _ => attempt.Detail,
    };

    /// <param name="Filter">What is to be listened for, raw JSON; empty: nothing.</param>
    /// <param name="Version">Another number after each change.</param>
    /// <param name="Changed">Completes with the next one.</param>
    /// <param name="Later">When it is to be looked at again, since the server cannot be listened to for so long; null: it can.</param>
    private sealed record Wish(byte[] Filter, long Version, Task Changed, TimeSpan? Later = null);

    private static partial class Log
    {
        [LoggerMessage(343, LogLevel.Debug, "Server {Server} is not listened to just now: {Why}", EventName = "StatelessListenEnded")]
        public static partial void Over(ILogger logger, string server, string why);

        [LoggerMessage(349, LogLevel.Error, "Listening to server {Server} failed; it is listened to again.", EventName = "StatelessListeningFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string server);
    }
}
