using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams.Http;
using Mooring.Upstreams.Stateless;
using Mooring.Upstreams.Stdio;

namespace Mooring.Upstreams;

/// <summary>
/// One server behind the gateway, however it is reached. Made and disposed by <see cref="UpstreamTable"/>. Opens links to it, holds its
/// concurrency limit and its health; a slow or dead server costs only its own calls (invariant 11).
/// </summary>
internal sealed partial class Upstream : IAsyncDisposable
{
    /// <summary>Longest time a server may take to answer <c>initialize</c>, a process to start included.</summary>
    private static readonly TimeSpan OpenTimeout = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(2);

    private readonly UpstreamServices _services;
    private readonly HttpExchange? _http;
    private readonly SemaphoreSlim _places;
    private readonly RestartBackoff _backoff;
    private int _queued;
    private long _startNotBefore;
    private volatile bool _isGone;

    public Upstream(string name, ServerConfig config, IConnector? connector, UpstreamServices services)
    {
        Name = name;
        Config = config;
        Connector = connector;
        _services = services;
        _places = new SemaphoreSlim(config.Concurrency);
        _backoff = new RestartBackoff(services.Time, Random.Shared);
        Health = new UpstreamHealth(services.Time, Random.Shared);
        (Fingerprint, Place) = (FingerprintOf(config), PlaceOf(config));
        services.Metrics.State(name, Health.State);
        _memory = new StatelessMemory(services.Time, services.Logger);
        if (config.Url is { } url)
        {
            _http = new HttpExchange(
                url, config.Headers, () => services.Config.Current.Limits, () => services.Config.Current.Http.PeerTimeout, services.Handler);
        }
    }

    /// <summary>The slug that names it in paths, prefixes, metrics and logs.</summary>
    public string Name { get; }

    public ServerConfig Config { get; }

    /// <summary>What messages and batches of servers may be, as of now.</summary>
    public LimitsConfig Limits => _services.Config.Current.Limits;

    public IConnector? Connector { get; }

    public UpstreamHealth Health { get; }

    /// <summary>The clock of its links.</summary>
    public TimeProvider Time => _services.Time;

    /// <summary>Whether it is used with the account of each user: then what it shows is that user's, and there is no link that belongs to nobody.</summary>
    public bool NeedsAccount => Config.Auth is not null;

    /// <summary>Longest silence of one call to it.</summary>
    public TimeSpan Deadline => Config.Deadline ?? _services.Config.Current.Calls.Deadline;

    /// <summary>Whether each client session has a link of its own.</summary>
    public bool IsPerSession => Config.Scope == LinkScope.Session;

    /// <summary>Whether a session's link to it cannot move to another gateway process: a process of its own, or a stream that cannot be opened twice.</summary>
    public bool HasHome => IsPerSession && Config.Transport is ServerTransport.Stdio or ServerTransport.Sse && Connector is null;

    /// <summary>Whether it is configured no longer, or otherwise: another one may have its name. Nobody is to open a link to it, and one that is being opened is given up.</summary>
    public bool IsGone => _isGone;

    /// <summary>Whether names of this server carry its name on the merged route.</summary>
    public bool HasPrefix => Config.Prefix switch
    {
        PrefixRule.Always => true,
        PrefixRule.Never => false,
        _ => Connector is null,
    };

    /// <summary>
    /// What the links of this server depend on, credentials included and therefore hashed; a stored link with another fingerprint is not reused. Never in clear where rows are sealed: what
    /// can be guessed can be tried against it.
    /// </summary>
    public string Fingerprint { get; }

    /// <summary>A hash of where it is, with nothing in it that may be secret: what is kept of the server in clear goes by this.</summary>
    public string Place { get; }

    /// <summary>Takes one of the server's places for a call; waits in a bounded queue.</summary>
    /// <returns>False when the queue is full.</returns>
    public async ValueTask<bool> EnterAsync(CancellationToken cancel)
    {
        if (_places.Wait(0, CancellationToken.None))
        {
            return true;
        }

        if (Interlocked.Increment(ref _queued) > Config.Queue)
        {
            Interlocked.Decrement(ref _queued);
            return false;
        }

        try
        {
            await _places.WaitAsync(cancel);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _queued);
        }
    }

    /// <summary>As <see cref="EnterAsync"/>, where it takes no waiting.</summary>
    public bool TryEnter() => _places.Wait(0, CancellationToken.None);

    public void Leave() => _places.Release();

    /// <summary>Opens a link; health hears how it went.</summary>
    /// <param name="parameters">What to open it with.</param>
    /// <param name="owner">Who hears the server.</param>
    /// <param name="known">A session of this server from before a restart, to go on with.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>The link, or why there is none in words.</returns>
    public async Task<(Link? Link, string Why)> OpenAsync(LinkParameters parameters, ILinkOwner owner, LinkRecord? known, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(OpenTimeout, _services.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        (Link? Link, string Why) opened;
        try
        {
            opened = await OpenTransportAsync(Pinned(parameters), owner, known, both.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            opened = (null, $"it did not answer initialize within {OpenTimeout.TotalSeconds:F0} s");
        }

        if (opened.Link is null && parameters.Authorizer is { IsOver: true })
        {
            // Its person has another account by now, or none: that says nothing of the server.
            return opened;
        }

        if (opened.Link is null)
        {
            switch (parameters.Authorizer?.Needed)
            {
                case null:
                    Failed(opened.Why);
                    break;
                case { ByServer: true }:
                    // It is there, and wants somebody's account.
                    Succeeded();
                    break;
                default:
                    // It was not asked.
                    break;
            }

            return opened;
        }

        if (known is null)
        {
            Succeeded();
        }

        await owner.OnOpenedAsync(opened.Link, again: false);
        return opened;
    }

    public void Succeeded()
    {
        var before = Health.State;
        if (Health.Succeeded())
        {
            Log.Back(_services.Logger, Name);
        }

        CountState(before);
    }

    /// <inheritdoc cref="UpstreamHealth.Failed"/>
    public void Failed(string why, bool wasReached = false)
    {
        var before = Health.State;
        if (Health.Failed(why, wasReached))
        {
            Log.Away(_services.Logger, Name, why);
        }
        else
        {
            Log.Failed(_services.Logger, Name, why);
        }

        CountState(before);
    }

    /// <summary>The configuration has it no longer. Before anybody is told, so that whoever opens a link meanwhile sees it or is seen.</summary>
    public void Retire() => _isGone = true;

    public ValueTask DisposeAsync()
    {
        _http?.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string FingerprintOf(ServerConfig config)
    {
        var headers = config.Headers.OrderBy(h => h.Key, StringComparer.OrdinalIgnoreCase).Select(h => $"{h.Key}:{h.Value}");
        string?[] parts = [config.Transport.ToString(), config.Url?.AbsoluteUri, config.Command, .. config.Args, .. headers];
        return HashOf(parts);
    }

    /// <summary>Without arguments, headers, and what an address has beside host and path.</summary>
    private static string PlaceOf(ServerConfig config) =>
        HashOf(["place", config.Transport.ToString(), config.Url?.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped), config.Command]);

    private static string HashOf(string?[] parts) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\u001f', parts))));

    // Called for every answer: only a change is told.
    private void CountState(UpstreamState before)
    {
        if (Health.State != before && !_isGone)
        {
            _services.Metrics.State(Name, Health.State);
        }
    }

    private async Task WatchAsync(ServerProcess process, Func<bool> isStopping)
    {
        var exit = await process.Exited;
        if (!isStopping())
        {
            Log.ProcessEnded(_services.Logger, Name, exit.ToString());
            HoldStarts();
        }
    }

    private void HoldStarts()
    {
        lock (_backoff)
        {
            Volatile.Write(ref _startNotBefore, _services.Time.GetTimestamp() + (long)(_backoff.Next().TotalSeconds * _services.Time.TimestampFrequency));
        }
    }

    private LineChannel ServeConnector(IConnector connector)
    {
        var toServer = new Pipe();
        var fromServer = new Pipe();
        var stop = new CancellationTokenSource();
        var serving = ServeAsync();
        return new LineChannel(fromServer.Reader.AsStream(), toServer.Writer.AsStream(), _services.Config.Current.Limits.BodySize, new(_services.Config.Current.Limits.JsonDepth),
            () => "the connector ended", StopAsync);

        async Task ServeAsync()
        {
            try
            {
                await connector.ServeAsync(toServer.Reader.AsStream(), fromServer.Writer.AsStream(), stop.Token);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // The link was closed.
            }
            catch (Exception e)
            {
                Log.ConnectorFailed(_services.Logger, e, Name);
            }
            finally
            {
                await fromServer.Writer.CompleteAsync();
                await toServer.Reader.CompleteAsync();
            }
        }

        async ValueTask StopAsync()
        {
            await toServer.Writer.CompleteAsync();
            await stop.CancelAsync();
            await serving;
            stop.Dispose();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(320, LogLevel.Warning, "Server {Server} is away: {Why}. It is probed until it is back; lists are served as last known.", EventName = "UpstreamAway")]
        public static partial void Away(ILogger logger, string server, string why);

        [LoggerMessage(321, LogLevel.Information, "Server {Server} is back.", EventName = "UpstreamBack")]
        public static partial void Back(ILogger logger, string server);

        [LoggerMessage(322, LogLevel.Warning, "Server {Server} failed: {Why}", EventName = "UpstreamFailed")]
        public static partial void Failed(ILogger logger, string server, string why);

        [LoggerMessage(323, LogLevel.Warning, "The process of server {Server} ended with {Exit}; it is started again when it is needed.", EventName = "UpstreamProcessEnded")]
        public static partial void ProcessEnded(ILogger logger, string server, string exit);

        [LoggerMessage(324, LogLevel.Error, "Connector {Server} failed.", EventName = "ConnectorFailed")]
        public static partial void ConnectorFailed(ILogger logger, Exception exception, string server);
    }
}
