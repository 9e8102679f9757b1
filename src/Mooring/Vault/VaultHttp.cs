using System.Net;
using Mooring.Network;

namespace Mooring.Vault;

/// <summary>
/// Short requests to providers: no redirects, no cookies, bounded answers, and a limit to how long they take. What a server or its authorization server
/// named is asked no further away than that server could reach itself (<see cref="GuardedAddress"/>). One per process.
/// </summary>
internal sealed class VaultHttp : IDisposable
{
    /// <summary>Token answers and metadata are some kilobytes.</summary>
    private const int MaxBytes = 256 * 1024;

    private readonly TimeProvider _time;
    private readonly Dictionary<Reach, Lazy<HttpClient>> _clients;

    public VaultHttp(TimeProvider time, Func<Reach, HttpMessageHandler>? handlers = null)
    {
        _time = time;
        _clients = Enum.GetValues<Reach>().ToDictionary(reach => reach, reach => new Lazy<HttpClient>(() => new HttpClient(handlers?.Invoke(reach) ?? NewHandler(reach))
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = MaxBytes,
        }));
    }

    /// <returns>Status and body, or what went wrong without them.</returns>
    /// <param name="request">What is asked.</param>
    /// <param name="patience">How long it may take.</param>
    /// <param name="namedBy">The configured server whose document, or whose authorization server's, named the address; null: it stands in the configuration.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<(HttpStatusCode Status, byte[] Body, string? Fault)> AskAsync(HttpRequestMessage request, TimeSpan patience, Uri? namedBy, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(patience, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            // The server itself is asked all the time, wherever it is.
            var reach = namedBy is null || namedBy.GetLeftPart(UriPartial.Authority) == request.RequestUri!.GetLeftPart(UriPartial.Authority)
                ? Reach.Anywhere
                : await GuardedAddress.ReachOfAsync(namedBy, both.Token);
            using var response = await _clients[reach].Value.SendAsync(request, both.Token);
            return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(both.Token), null);
        }
        catch (HttpRequestException e) when (e.InnerException is HttpRequestException guarded)
        {
            return (default, [], guarded.Message);
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
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10), _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        using var request = new HttpRequestMessage(HttpMethod.Post, server)
        {
            Content = new StringContent("""{"jsonrpc":"2.0","id":0,"method":"ping"}""", System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        try
        {
            using var response = await _clients[Reach.Anywhere].Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            return response.Headers.TryGetValues("WWW-Authenticate", out var values) ? Challenge.Parse(values) : Challenge.None;
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return Challenge.None;
        }
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values.Where(one => one.IsValueCreated))
        {
            client.Value.Dispose();
        }
    }

    private static HttpMessageHandler NewHandler(Reach reach) => reach != Reach.Anywhere ? GuardedAddress.NewHandler(reach) : new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        MaxResponseHeadersLength = 64,
        ActivityHeadersPropagator = null,
    };
}
