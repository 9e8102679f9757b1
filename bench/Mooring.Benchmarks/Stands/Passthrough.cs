using System.Net;
using Microsoft.AspNetCore.Http;

namespace Mooring.Benchmarks.Stands;

/// <summary>The yardstick: what Kestrel and HttpMessageInvoker cost by themselves. It copies a request there and a response back and knows no MCP.</summary>
internal sealed class Passthrough(Uri target) : IDisposable
{
    /// <summary>What concerns one connection only, or is written anew (RFC 9110, 7.6.1).</summary>
    private static readonly HashSet<string> NotPassedOn = new(StringComparer.OrdinalIgnoreCase)
    {
        "Host", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Content-Type", "Date", "Server",
    };

    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
    });

    public static async Task<int> RunAsync(int port, Uri target, bool inline)
    {
        using var passthrough = new Passthrough(target);
        return await BareKestrel.RunAsync(port, passthrough.HandleAsync, transport => transport.UnsafePreferInlineScheduling = inline);
    }

    public void Dispose() => _client.Dispose();

    private async Task HandleAsync(HttpContext context)
    {
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), target);
        foreach (var (name, value) in context.Request.Headers)
        {
            if (!NotPassedOn.Contains(name))
            {
                request.Headers.TryAddWithoutValidation(name, value.ToString());
            }
        }

        if (context.Request.ContentLength is { } length)
        {
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.ContentLength = length;
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
        }

        using var response = await _client.SendAsync(request, context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        context.Response.ContentLength = response.Content.Headers.ContentLength;
        if (response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type))
        {
            context.Response.ContentType = type.ToString();
        }

        foreach (var (name, value) in response.Headers.NonValidated)
        {
            if (!NotPassedOn.Contains(name))
            {
                context.Response.Headers[name] = value.ToString();
            }
        }

        await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }
}
