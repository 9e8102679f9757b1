using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Auth;
using Mooring.Upstreams;

namespace Mooring.Admin;

/// <summary>Has the connectors read again what they serve, such as the pages of the docs connector, which finds changes by itself too.</summary>
internal sealed class ReindexEndpoint(Doorkeeper doorkeeper, UpstreamTable upstreams)
{
    private static readonly string[] Methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

    public void Map(IEndpointRouteBuilder routes) => routes.MapMethods("/reindex", Methods, AnswerAsync);

    private async Task AnswerAsync(HttpContext context)
    {
        if (!await AdminAnswers.PassesAsync(context, doorkeeper, "POST"))
        {
            return;
        }

        int? count = null;
        foreach (var connector in upstreams.All.Select(u => u.Connector).OfType<IConnector>())
        {
            try
            {
                count = await connector.RefreshAsync(context.RequestAborted) is { } things ? (count ?? 0) + things : count;
            }
            catch (IOException e)
            {
                await AdminAnswers.RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, $"Connector {connector.Name}: {e.Message}");
                return;
            }
            catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
            {
                return;
            }
        }

        await (count is { } all
            ? AdminAnswers.WriteAsync(context, Encoding.ASCII.GetBytes($$"""{"ok":true,"count":{{all}}}"""))
            : AdminAnswers.RefuseAsync(context, StatusCodes.Status404NotFound, "No connector here reads anything beforehand."));
    }
}
