using System.Net;
using Microsoft.AspNetCore.Http;

namespace Mooring.Benchmarks.Stands;

/// <summary>The yardstick: what Kestrel and HttpMessageInvoker cost by themselves. It copies a request there and a response back and knows no MCP.</summary>
internal sealed class Passthrough(Uri target) : IDisposable
{
    private static readonly string[] RequestHeaders = ["Accept", "Mcp-Session-Id", "MCP-Protocol-Version", "Last-Event-ID"];

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
        foreach (var name in RequestHeaders)
        {
            if (context.Request.Headers.TryGetValue(name, out var value))
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

        if (response.Headers.NonValidated.TryGetValues("Mcp-Session-Id", out var session))
        {
            context.Response.Headers["Mcp-Session-Id"] = session.ToString();
        }

        await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }
}
