using System.Net;
using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Upstreams.Http;

/// <summary>
/// A link over Streamable HTTP. Each request is a POST of its own, so an answer cannot reach the wrong call; what the server says on
/// that POST's stream belongs to that call, what it says on the GET stream belongs to the session.
/// </summary>
internal sealed partial class HttpLink : Link
{
    /// <summary>How long a server may take to accept a notification or response, which it only has to take.</summary>
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Longest time a server may take to give a new session; as for the first one.</summary>
    private static readonly TimeSpan RenewTimeout = TimeSpan.FromSeconds(60);

    private readonly HttpExchange _http;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _gate = new();
    private Task<Attempt>? _renewing;
    private volatile string? _session;
    private TaskCompletionSource _renewed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _versionHeader;
    private bool _closed;

    public HttpLink(Upstream upstream, LinkParameters parameters, ILinkOwner owner, HttpExchange http, TimeProvider time, ILogger logger)
        : base(upstream, parameters, owner)
    {
        _http = http;
        _time = time;
        _logger = logger;
    }

    public override string? SessionId => _session;

    public override bool IsUsable => !_closed;

    public override bool TellsRequests => true;

    /// <summary>What the server answered to <c>initialize</c> when it did not serve this transport (400, 404, 405).</summary>
    public HttpStatusCode? InitializeStatus { get; private set; }

    /// <summary>Whether the server answered <c>initialize</c>, but not with what it should.</summary>
    public bool WasRefused { get; private set; }

    /// <summary>Shakes hands with the server, or goes on with a session known from before a restart.</summary>
    /// <returns>Null when the link is open, else why not.</returns>
    public async Task<string?> OpenAsync(string? knownSession, ReadOnlyMemory<byte> knownResult, ProtocolVersion knownVersion, CancellationToken cancel)
    {
        if (!knownResult.IsEmpty)
        {
            InitializeResult = knownResult;
            Join(knownSession, knownVersion);
            return null;
        }

        var attempt = await InitializeAsync(cancel);
        WasRefused = attempt.Kind == AttemptKind.Refused;
        return attempt.Kind == AttemptKind.Answered ? null : attempt.Detail;
    }

    /// <summary>Goes on with a session that the server has; it is not asked. Before anything else.</summary>
    public void Join(string? session, ProtocolVersion version)
    {
        _session = session;
        Version = version;
        _versionHeader = VersionHeader(version);
    }

    public override ValueTask<Attempt> CallAsync(PendingRequest request) => PostAsync(request, _session, _versionHeader);

    public override ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel) => SendAsync(json, _session, _versionHeader, cancel);

    private async ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, string? session, string? version, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(SendTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            using var request = _http.Post(new ReadOnlyMemoryContent(json), session, version);
            using var response = await _http.SendAsync(request, both.Token);
            if (!response.IsSuccessStatusCode)
            {
                Log.NotTaken(_logger, Upstream.Name, (int)response.StatusCode);
            }

            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException e)
        {
            Log.NotSent(_logger, Upstream.Name, HttpExchange.Describe(e));
            return false;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            Log.NotSent(_logger, Upstream.Name, "it did not take it in time");
            return false;
        }
    }

    public override Task<Attempt> ReinitializeAsync(string? lost, CancellationToken cancel)
    {
        Task<Attempt> renewing;
        lock (_gate)
        {
            if (_renewing is null && lost != _session)
            {
                // Somebody else has already made a new one; none at all is one too, for a server that gives no ids any more.
                return Task.FromResult(Attempt.Answered(null!));
            }

            renewing = _renewing ??= RenewAsync(lost);
        }

        // Shared by all calls that need it: one that is cancelled must not end it for the others.
        return renewing.WaitAsync(cancel);
    }

    public override void Adopt(LinkRecord record)
    {
        lock (_gate)
        {
            if (record.UpstreamSessionId is null || record.UpstreamSessionId == _session || !ProtocolVersions.TryParse(record.Version, out var version))
            {
                return;
            }

            Version = version;
            InitializeResult = record.InitializeResult;
            TakeSessionLocked(record.UpstreamSessionId, VersionHeader(version));
        }
    }

    public override async ValueTask LeaveAsync()
    {
        _closed = true;
        await _closing.CancelAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        if (_closed)
        {
            return;
        }

        await LeaveAsync();
        if (_session is not { } session)
        {
            return;
        }

        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), _time);
            using var request = _http.Request(HttpMethod.Delete);
            HttpExchange.Identify(request, session, _versionHeader);
            using var response = await _http.SendAsync(request, limit.Token);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            // The server will forget the session by itself.
            Log.NotSent(_logger, Upstream.Name, e.Message);
        }
    }

    private async Task<Attempt> RenewAsync(string? lost)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.Yield();
        using var limit = new CancellationTokenSource(RenewTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _closing.Token);
        try
        {
            if (await Owner.FindRenewedAsync(this, lost) is { } other)
            {
                Adopt(other);
                return Attempt.Answered(null!);
            }

            InitializeStatus = null;
            var attempt = await InitializeAsync(both.Token);
            if (attempt.Kind == AttemptKind.Answered)
            {
                await Owner.OnOpenedAsync(this, again: true);
            }
            else if (Upstream.MayChangeEra && InitializeStatus is HttpStatusCode.BadRequest or HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed)
            {
                // No sessions any more: it may have come back as a release without them. Whoever needs it next opens a link anew, and looks.
                await LeaveAsync();
                Owner.OnClosed(this, attempt.Detail);
            }

            return attempt;
        }
        catch (OperationCanceledException)
        {
            return Attempt.NotExecuted("it did not give a new session in time");
        }
        finally
        {
            lock (_gate)
            {
                _renewing = null;
            }
        }
    }

    private async Task<Attempt> InitializeAsync(CancellationToken cancel)
    {
        var request = new OwnRequest("initialize", Parameters.InitializeParams, cancel);
        var attempt = await PostAsync(request, session: null, version: null);
        if (attempt.Kind != AttemptKind.Answered)
        {
            return attempt;
        }

        if (Accept(attempt.Answer!) is { } wrong)
        {
            return Attempt.Refused(wrong);
        }

        // Until the server has heard both, calls keep the session they had: they are told it is lost, and wait for the new one.
        var version = VersionHeader(Version);
        if (!await SendAsync(JsonRpc.Notification("notifications/initialized"), attempt.Session, version, cancel))
        {
            return Attempt.NotExecuted("it did not take notifications/initialized");
        }

        lock (_gate)
        {
            TakeSessionLocked(attempt.Session, version);
        }

        return attempt;
    }

    private void TakeSessionLocked(string? session, string? version)
    {
        _session = session;
        _versionHeader = version;
        _renewed.TrySetResult();
        _renewed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private static string? VersionHeader(ProtocolVersion version) =>
        // The header came with 2025-06-18; older servers may reject what they do not know.
        version >= ProtocolVersion.V2025_06_18 ? version.ToWire() : null;

    private async ValueTask<Attempt> PostAsync(PendingRequest pending, string? session, string? version)
    {
        var cancel = pending.Abandoned;
        HttpResponseMessage? response = null;
        try
        {
            // :: 1 send
            using var request = _http.Post(new MessageContent(pending.ToSessionMessage()), session, version);
            response = await _http.SendAsync(request, cancel, pending);

            // :: 2 what the status says
            if (response.StatusCode != HttpStatusCode.OK)
            {
                return await RefusedAsync(pending, response, session, cancel);
            }

            if (HttpExchange.Encoding(response) is { } encoding)
            {
                return Attempt.Unknown($"it answered with content encoding \"{encoding}\", which the gateway did not ask for");
            }

            // Counts where it answers initialize (2025-11-25, basic/transports, "Session Management").
            session ??= response.Headers.TryGetValues("Mcp-Session-Id", out var ids) ? ids.FirstOrDefault() : null;

            // :: 3 one JSON answer, or a stream that has the answer in it
            switch (HttpExchange.MediaType(response))
            {
                case "application/json":
                    return Take(pending, await _http.ReadFrameAsync(response.Content, cancel)) with { Session = session };
                case "text/event-stream":
                    var reading = ReadStreamAsync(pending, response, session, cancel);
                    pending.OnStreamed(isWhole: reading.IsCompleted);
                    return await reading with { Session = session };
                case var other:
                    return Attempt.Unknown($"it answered 200 with content type \"{other}\" instead of JSON or an event stream");
            }
        }
        catch (Exception e) when (HttpExchange.IsFailure(e))
        {
            return HttpExchange.Failed(e, cancel);
        }
        finally
        {
            response?.Dispose();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(310, LogLevel.Warning, "Server {Server} answered HTTP {Status} to a notification or response.", EventName = "UpstreamNotTaken")]
        public static partial void NotTaken(ILogger logger, string server, int status);

        [LoggerMessage(311, LogLevel.Debug, "A message to server {Server} was not sent: {Why}", EventName = "UpstreamNotSent")]
        public static partial void NotSent(ILogger logger, string server, string why);

        [LoggerMessage(312, LogLevel.Warning, "Server {Server} sent something on an event stream that is not a message: {Fault}", EventName = "UpstreamBadEvent")]
        public static partial void BadEvent(ILogger logger, string server, string fault);

        [LoggerMessage(313, LogLevel.Debug, "Server {Server} offers no GET stream (HTTP {Status}).", EventName = "UpstreamNoGetStream")]
        public static partial void NoGetStream(ILogger logger, string server, int status);

        [LoggerMessage(314, LogLevel.Debug, "The GET stream of server {Server} ended: {Why}; it is opened again.", EventName = "UpstreamGetStreamEnded")]
        public static partial void GetStreamEnded(ILogger logger, string server, string why);

        [LoggerMessage(316, LogLevel.Warning, "Server {Server} does not go on from the last event that was heard (HTTP {Status}); what it said meanwhile may be lost.", EventName = "UpstreamCursorRefused")]
        public static partial void CursorRefused(ILogger logger, string server, int status);

        [LoggerMessage(315, LogLevel.Warning, "Server {Server} sent an answer on a stream that belongs to another request.", EventName = "UpstreamWrongAnswer")]
        public static partial void WrongAnswer(ILogger logger, string server);

        [LoggerMessage(317, LogLevel.Error, "Listening to server {Server} failed; it is listened to again.", EventName = "UpstreamListeningFailed")]
        public static partial void ListeningFailed(ILogger logger, Exception exception, string server);
    }
}
