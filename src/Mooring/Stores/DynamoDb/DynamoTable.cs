using System.Globalization;
using System.Net;
using Amazon;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using Microsoft.Extensions.Logging;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// The way to the table: bounded requests, tries again where that helps, and the knowledge whether the service answers. Made and disposed by
/// <see cref="DynamoDbStore"/>. While it is known to be away every use fails at once, and one loop alone tries to reach it.
/// </summary>
/// <remarks>The SDK is first touched when the store is opened, so that a gateway with another store does not load it.</remarks>
internal sealed partial class DynamoTable : IAsyncDisposable
{
    /// <summary>Tries of one use that got no answer: a connection that died in the pool is noticed only when it is used.</summary>
    private const int Tries = 3;

    /// <summary>First and longest wait of a use that was throttled; doubled in between.</summary>
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(25);

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    private readonly DynamoDbStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _free;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly DynamoClock _clock;
    private AmazonDynamoDBClient? _client;
    private Task _probing = Task.CompletedTask;
    private volatile Absence? _away;
    private bool _disposed;

    public DynamoTable(DynamoDbStoreOptions options, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        _free = new SemaphoreSlim(options.MaxRequests);
        _clock = new DynamoClock(time);
        _away = new Absence($"{Name} was not reached yet.", time.GetUtcNow());
    }

    /// <summary>Where and what, for messages.</summary>
    public string Name => $"The DynamoDB table '{_options.Table}' in {_options.Region ?? _client?.Config.RegionEndpoint?.SystemName ?? "the default region"}"
        + (_options.Endpoint is { } endpoint ? $" at {endpoint.Authority}" : "");

    public string TableName => _options.Table;

    public DateTimeOffset? AwaySince => _away?.Since;

    /// <summary>The service's time, as far as it says it: leases end by it.</summary>
    public DateTimeOffset Now => _clock.Now;

    /// <summary>Makes the client where there is none, asks for the mark of the schema, and makes the table where that is wanted. One try.</summary>
    public async Task<Dictionary<string, AttributeValue>?> OpenAsync(CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        try
        {
            var client = _client ??= MakeClient();
            var mark = await LookAsync(client, mayMake: _options.CreateTable, cancel);
            if (_away is not null)
            {
                Log.Opened(_logger, Name);
                _away = null;
            }

            return mark;
        }
        catch (Exception e) when (e is not StoreException && !cancel.IsCancellationRequested && DynamoFailure.IsOurs(e))
        {
            throw new StoreException(StayAway(Unreachable(e)), e);
        }
    }

    /// <summary>Uses the client for one request that may be repeated, and may have been done when it is.</summary>
    public async Task<T> AskAsync<T>(Func<AmazonDynamoDBClient, CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        ThrowIfAway();
        return await TryAsync(ask, cancel);
    }

    public void ThrowIfAway()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_away is { } absence)
        {
            throw new StoreException(absence.Reason);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _stop.CancelAsync();
        Task probing;
        lock (_gate)
        {
            probing = _probing;
        }

        await probing;
        _client?.Dispose();
        _stop.Dispose();
        _free.Dispose();
    }

    private async Task<T> TryAsync<T>(Func<AmazonDynamoDBClient, CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        var failures = 0;
        var wait = FirstWait;
        var began = _time.GetTimestamp();
        while (true)
        {
            ThrowIfAway();
            try
            {
                // For this try alone: who waits to try again must not keep others from theirs, least of all a beat.
                await _free.WaitAsync(cancel);
                try
                {
                    return await ask(_client!, cancel);
                }
                finally
                {
                    _free.Release();
                }
            }
            catch (Exception e) when (!cancel.IsCancellationRequested && DynamoFailure.IsThrottling(e))
            {
                if (_time.GetElapsedTime(began) >= _options.ThrottlePatience)
                {
                    throw new StoreException($"{Name} is throttled: {DynamoFailure.Describe(e)}", e);
                }

                await PauseAsync();
            }
            catch (Exception e) when (!cancel.IsCancellationRequested && DynamoFailure.IsAway(e))
            {
                if (e is OperationCanceledException or TimeoutException)
                {
                    // Not sent three times: its caller waits. Only another request can tell whether the service is there.
                    throw await CheckAsync() is { } absence ? MarkAway(absence) : new StoreException($"{Name} failed: {DynamoFailure.Describe(e)}", e);
                }

                if (++failures == Tries)
                {
                    // Of one request; another tells whether it is so for all.
                    throw await CheckAsync() is { } absence ? MarkAway(absence) : new StoreException($"{Name} failed: {DynamoFailure.Describe(e)}", e);
                }

                await PauseAsync();
            }
            catch (Exception e) when (DynamoFailure.IsRefusal(e))
            {
                throw MarkAway(e);
            }
            catch (AmazonServiceException e) when (e is not ConditionalCheckFailedException)
            {
                throw new StoreException($"{Name} failed: {DynamoFailure.Describe(e)}", e);
            }
        }

        async Task PauseAsync()
        {
            await Task.Delay(wait * (0.5 + (Random.Shared.NextDouble() / 2)), _time, cancel);
            wait = wait * 2 > LongestWait ? LongestWait : wait * 2;
        }
    }

    /// <param name="client">Asks.</param>
    /// <param name="mayMake">
    /// Whether a table that is not there is made. Only at the start: one that vanishes later is not replaced by an empty one, in which the marks and keys of what
    /// this process writes would be missing.
    /// </param>
    /// <param name="cancel">Gives up.</param>
    private async Task<Dictionary<string, AttributeValue>?> LookAsync(AmazonDynamoDBClient client, bool mayMake, CancellationToken cancel)
    {
        var question = new GetItemRequest { TableName = TableName, Key = DynamoKeys.Meta, ConsistentRead = true };
        try
        {
            var answer = await client.GetItemAsync(question, cancel);
            return answer.Item is { Count: > 0 } found ? found : null;
        }
        catch (ResourceNotFoundException) when (mayMake)
        {
            await DynamoTableMaker.MakeAsync(client, _options, Name, _time, reason => Log.NoTtl(_logger, Name, reason), cancel);
            Log.Made(_logger, Name);
            return null;
        }
        catch (ResourceNotFoundException e)
        {
            throw new StoreException(
                StayAway($"{Name} does not exist. Make it (partition key \"pk\", sort key \"sk\", both strings, TTL on \"expires\"), name another one in store.table, or set store.createTable: true."), e);
        }
    }

    /// <returns>Null, or why the service does not answer.</returns>
    private async Task<Exception?> CheckAsync()
    {
        try
        {
            await LookAsync(_client!, mayMake: false, _stop.Token);
            return null;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception e) when (e is StoreException || DynamoFailure.IsOurs(e))
        {
            return e;
        }
    }

    private AmazonDynamoDBClient MakeClient()
    {
        // Tries again are ours: the SDK's own would hide how long a request takes.
        var settings = new AmazonDynamoDBConfig { Timeout = _options.RequestTimeout, MaxErrorRetry = 0, UseHttp = _options.Endpoint?.Scheme == "http" };
        if (_options.Region is { } region)
        {
            settings.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }

        if (_options.Endpoint is { } endpoint)
        {
            settings.ServiceURL = endpoint.AbsoluteUri;
            settings.AuthenticationRegion = _options.Region ?? "us-east-1";
        }

        var client = AwsRole.Of(_options.Role) is { } role ? new AmazonDynamoDBClient(role, settings) : new AmazonDynamoDBClient(settings);
        client.AfterResponseEvent += (_, happened) =>
        {
            if (happened is WebServiceResponseEventArgs { ResponseHeaders: { } headers } && headers.TryGetValue("Date", out var date)
                && DateTimeOffset.TryParse(date, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var said))
            {
                _clock.Said(said);
            }
        };
        return client;
    }

    private StoreException MarkAway(Exception failure)
    {
        var reason = Unreachable(failure);
        lock (_gate)
        {
            if (!_disposed && _away is null)
            {
                _away = new Absence(reason, _time.GetUtcNow());
                Log.Away(_logger, reason);
                _probing = ProbeAsync(reason);
            }
        }

        return new StoreException(reason, failure);
    }

    /// <summary>Alone tries to reach a service that is away, so that it is not greeted by thousands when it comes back.</summary>
    private async Task ProbeAsync(string said)
    {
        await Task.Yield();
        var started = _time.GetTimestamp();
        var backoff = new StoreBackoff(Random.Shared);
        while (true)
        {
            try
            {
                await Task.Delay(backoff.Next(), _time, _stop.Token);
                await LookAsync(_client!, mayMake: false, _stop.Token);
                break;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Whatever it is: nobody else tries, so this must not end.
                var reason = StayAway(e is StoreException ? e.Message : Unreachable(e));
                if (reason != said)
                {
                    said = reason;
                    Log.Away(_logger, said);
                }
            }
        }

        Log.Back(_logger, Name, _time.GetElapsedTime(started).TotalSeconds);
        _away = null;
    }

    /// <summary>Away since before, whatever the reason is now.</summary>
    private string StayAway(string reason)
    {
        _away = new Absence(reason, _away?.Since ?? _time.GetUtcNow());
        return reason;
    }

    private string Unreachable(Exception failure) => failure is AmazonServiceException { StatusCode: HttpStatusCode.BadRequest } && !DynamoFailure.IsThrottling(failure)
        ? $"{Name} cannot be used: {DynamoFailure.Describe(failure)}"
        : $"{Name} cannot be reached: {DynamoFailure.Describe(failure)}";

    private sealed record Absence(string Reason, DateTimeOffset Since);
}
