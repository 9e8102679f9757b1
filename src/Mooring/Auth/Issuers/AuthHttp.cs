using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Network;

namespace Mooring.Auth.Issuers;

/// <summary>What a request to somebody else came to.</summary>
/// <param name="Status">0: no answer.</param>
/// <param name="Json">The answer, where it was one object.</param>
/// <param name="Problem">Why there is none, in words; holds nothing secret.</param>
/// <param name="MaxAge">How long the answer may be kept, as it says itself; zero: not at all, null: it does not say.</param>
internal sealed record RemoteAnswer(int Status, JsonObject? Json, string? Problem, TimeSpan? MaxAge = null)
{
    public bool IsGood => Status is >= 200 and < 300 && Json is not null;
}

/// <summary>
/// Requests of the gateway to issuers, identity providers and clients' metadata: JSON, no redirects, bounded in time and size. There are two
/// ways out: to addresses that stand in the configuration, and to those that anybody may have named (<see cref="GuardedAddress"/>).
/// </summary>
internal sealed class AuthHttp(TimeProvider time) : IDisposable
{
    private const int LargestAnswer = 256 * 1024;

    /// <summary>Shorter than what a person waits for a page; discovery is tried again with the next one.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private HttpClient? _trusted;
    private HttpClient? _guarded;

    /// <summary>Another handler, for tests that have no sockets; null: real ones.</summary>
    public Func<HttpMessageHandler>? Handler { get; init; }

    public Task<RemoteAnswer> GetAsync(Uri url, CancellationToken cancel, string? bearer = null) => SendAsync(Trusted, Get(url, bearer), LargestAnswer, cancel);

    /// <summary>To an address that a stranger named.</summary>
    public Task<RemoteAnswer> GetGuardedAsync(Uri url, int largest, CancellationToken cancel) => SendAsync(Guarded, Get(url, bearer: null), largest, cancel);

    public Task<RemoteAnswer> PostFormAsync(Uri url, IReadOnlyDictionary<string, string> form, CancellationToken cancel, string? basic = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Accept.ParseAdd("application/json");
        if (basic is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", basic);
        }

        return SendAsync(Trusted, request, LargestAnswer, cancel);
    }

    public void Dispose()
    {
        _trusted?.Dispose();
        _guarded?.Dispose();
    }

    private HttpClient Trusted => Lazily(ref _trusted, () => new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) });

    private HttpClient Guarded => Lazily(ref _guarded, () => GuardedAddress.NewHandler());

    private HttpClient Lazily(ref HttpClient? client, Func<HttpMessageHandler> handler)
    {
        if (client is { } known)
        {
            return known;
        }

        var made = new HttpClient((Handler ?? handler)(), disposeHandler: Handler is null) { Timeout = Timeout.InfiniteTimeSpan };
        return Interlocked.CompareExchange(ref client, made, null) ?? made;
    }

    private static HttpRequestMessage Get(Uri url, string? bearer)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.ParseAdd("application/json");
        request.Headers.UserAgent.ParseAdd("mooring");
        if (bearer is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }

        return request;
    }

    private async Task<RemoteAnswer> SendAsync(HttpClient http, HttpRequestMessage request, int largest, CancellationToken cancel, bool isList = false)
    {
        using var sent = request;
        using var limit = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            var status = (int)response.StatusCode;
            await using var body = await response.Content.ReadAsStreamAsync(both.Token);
            var bytes = await ReadAsync(body, largest, both.Token);
            if (bytes is null)
            {
                return new RemoteAnswer(status, null, $"{request.RequestUri!.Host} answered more than {largest} bytes");
            }

            var json = Parse(bytes, isList);
            var problem = status is < 200 or >= 300 ? $"{request.RequestUri!.Host} answered {status}" : json is null ? $"{request.RequestUri!.Host} did not answer with a JSON object" : null;
            var cache = response.Headers.CacheControl;
            return new RemoteAnswer(status, json, problem, cache is { NoStore: true } or { NoCache: true } ? TimeSpan.Zero : cache?.MaxAge);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new RemoteAnswer(0, null, $"{request.RequestUri!.Host} did not answer within {Patience.TotalSeconds} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return new RemoteAnswer(0, null, $"{request.RequestUri!.Host} cannot be reached: {e.Message}");
        }
    }

    /// <summary>A list, which some ask for where others answer objects; empty where there is none.</summary>
    public async Task<JsonArray> GetListAsync(Uri url, string bearer, CancellationToken cancel)
    {
        var answer = await SendAsync(Trusted, Get(url, bearer), LargestAnswer, cancel, isList: true);
        return answer.IsGood && answer.Json!["list"] is JsonArray list ? list : [];
    }

    private static async Task<byte[]?> ReadAsync(Stream body, int largest, CancellationToken cancel)
    {
        var buffer = new byte[largest + 1];
        var length = 0;
        while (await body.ReadAsync(buffer.AsMemory(length), cancel) is > 0 and var read)
        {
            length += read;
            if (length > largest)
            {
                return null;
            }
        }

        return buffer[..length];
    }

    private static JsonObject? Parse(byte[] bytes, bool isList)
    {
        try
        {
            var node = OneNameJson.Parse(bytes);
            return isList && node is JsonArray ? new JsonObject { ["list"] = node } : node as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
