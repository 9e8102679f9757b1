using Mooring.Network;

namespace Mooring.Host.Listening;

/// <summary>Which requests are handled on the thread that read them (decision 0023): short messages of clients, which are mostly handed on at once. All others go to the thread pool first.</summary>
internal static class InPlace
{
    public static RequestDelegate Middleware(RequestDelegate next) =>
        context => IsShortMessage(context.Request) ? next(context) : LeaveAsync(next, context);

    private static bool IsShortMessage(HttpRequest request) =>
        request.ContentLength <= WaitingThreads.Turn && HttpMethods.IsPost(request.Method)
        && request.Path.Value?.EndsWith("/mcp", StringComparison.Ordinal) == true;

    private static async Task LeaveAsync(RequestDelegate next, HttpContext context)
    {
        await WaitingThreads.Leave();
        await next(context);
    }
}
