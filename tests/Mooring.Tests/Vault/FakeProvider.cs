using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Mooring.Tests.Vault;

/// <summary>
/// A provider's token endpoint that rotates refresh tokens, counts, and is away, slow or unwilling at will. A refresh token works once: using
/// it a second time is <c>invalid_grant</c>, as strict providers do it.
/// </summary>
internal sealed class FakeProvider(TimeProvider time) : HttpMessageHandler
{
    private readonly ConcurrentDictionary<string, int> _used = new(StringComparer.Ordinal);
    private int _asked;
    private int _underWay;
    private int _mostUnderWay;

    /// <summary>Requests that came.</summary>
    public int Asked => Volatile.Read(ref _asked);

    /// <summary>Most requests that were under way at once.</summary>
    public int MostUnderWay => Volatile.Read(ref _mostUnderWay);

    /// <summary>How often each refresh token was used.</summary>
    public IReadOnlyDictionary<string, int> Used => _used;

    /// <summary>The last form that came.</summary>
    public string Form { get; private set; } = "";

    public HttpRequestMessage? Request { get; private set; }

    /// <summary>How long an answer takes.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Answers in place of tokens; null: tokens.</summary>
    public (HttpStatusCode Status, string Body)? Says { get; set; }

    public bool IsAway { get; set; }

    /// <summary>The provider, by its host's first label, whose requests are not answered; null: none.</summary>
    public string? HangsAt { get; set; }

    /// <summary>The one that cannot be reached.</summary>
    public string? FailsAt { get; set; }

    /// <summary>Called when a request came, before it is answered.</summary>
    public Func<string, Task>? Before { get; set; }

    public TimeSpan Life { get; set; } = TimeSpan.FromHours(1);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _asked);
        var underWay = Interlocked.Increment(ref _underWay);
        for (var most = _mostUnderWay; underWay > most; most = _mostUnderWay)
        {
            Interlocked.CompareExchange(ref _mostUnderWay, underWay, most);
        }

        try
        {
            // Of this request, while others come at the same time.
            var form = await request.Content!.ReadAsStringAsync(cancellationToken);
            (Request, Form) = (request, form);
            var refresh = form.Split('&').Select(field => field.Split('=')).FirstOrDefault(field => field[0] == "refresh_token")?[1] ?? "";
            if (Before is { } before)
            {
                await before(refresh);
            }

            if (Delay > TimeSpan.Zero)
            {
                await Task.Delay(Delay, time, cancellationToken);
            }

            var host = request.RequestUri!.Host.Split('.')[0];
            if (host == HangsAt)
            {
                await Task.Delay(TimeSpan.FromHours(1), time, cancellationToken);
            }

            if (IsAway || host == FailsAt)
            {
                throw new HttpRequestException(HttpRequestError.ConnectionError);
            }

            if (Says is { } says)
            {
                return Answer(says.Status, says.Body);
            }

            return _used.AddOrUpdate(refresh, 1, (_, times) => times + 1) > 1
                ? Answer(HttpStatusCode.BadRequest, """{"error":"invalid_grant","error_description":"used before"}""")
                : Answer(HttpStatusCode.OK, new JsonObject
                {
                    ["access_token"] = $"access after {refresh}",
                    ["refresh_token"] = $"{refresh}+",
                    ["expires_in"] = Life.TotalSeconds,
                    ["token_type"] = "Bearer",
                }.ToJsonString());
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
        }
    }

    private static HttpResponseMessage Answer(HttpStatusCode status, string body) =>
        new(status) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
}
