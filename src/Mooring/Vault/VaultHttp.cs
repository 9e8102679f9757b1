using System.Net;

namespace Mooring.Vault;

/// <summary>Short requests to providers: no redirects, no cookies, bounded answers, and a limit to how long they take. One per process.</summary>
internal sealed class VaultHttp(TimeProvider time, Func<HttpMessageHandler>? handler = null) : IDisposable
{
    /// <summary>Token answers and metadata are some kilobytes.</summary>
    private const int MaxBytes = 256 * 1024;

    private readonly HttpClient _client = new(handler?.Invoke() ?? new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        MaxResponseHeadersLength = 64,
        ActivityHeadersPropagator = null,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        MaxResponseContentBufferSize = MaxBytes,
    };

    /// <returns>Status and body, or what went wrong without them.</returns>
    public async Task<(HttpStatusCode Status, byte[] Body, string? Fault)> AskAsync(HttpRequestMessage request, TimeSpan patience, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            using var response = await _client.SendAsync(request, both.Token);
            return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(both.Token), null);
        }
        catch (HttpRequestException e)
        {
            return (default, [], e.HttpRequestError == HttpRequestError.ConfigurationLimitExceeded ? $"its answer is larger than {MaxBytes} bytes" : e.HttpRequestError.ToString());
        }
        catch (IOException)
        {
            return (default, [], "the connection broke");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (default, [], $"it did not answer within {patience.TotalSeconds:F0} s");
        }
    }

    /// <summary>What a server says it wants, asked without any token.</summary>
    public async Task<Challenge> ChallengeOfAsync(Uri server, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        using var request = new HttpRequestMessage(HttpMethod.Post, server)
        {
            Content = new StringContent("""{"jsonrpc":"2.0","id":0,"method":"ping"}""", System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        try
        {
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            return response.Headers.TryGetValues("WWW-Authenticate", out var values) ? Challenge.Parse(values) : Challenge.None;
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return Challenge.None;
        }
    }

    public void Dispose() => _client.Dispose();
}
