using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>Serves <c>subscriptions/listen</c> over all servers of a route together (2026-07-28, basic/patterns/subscriptions).</summary>
internal sealed class Listening(FrontDoorServices services, SessionTable sessions, Discovery discovery, Interests interests)
{
    /// <summary>Stays until the client leaves, or the gateway goes and has it connect elsewhere.</summary>
    public async Task ListenAsync(HttpContext context, Session session, Frame request)
    {
        if (ListenFilter.Read(request, out var wrong) is not { } filter)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, JsonRpc.InvalidParams, wrong, request.Id);
            return;
        }

        if (!services.TryOpenStream(session, out var why))
        {
            context.Response.Headers.RetryAfter = "30";
            await Answers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, JsonRpc.ServerError, why, request.Id);
            return;
        }

        var stream = new ListenStream(context, services.Streams, request.Id.ToArray(), filter);
        var subscribing = filter.Resources.Select(uri => (Uri: uri, Works: interests.EnterAsync(session, uri))).ToList();
        try
        {
            session.Outbox.Add(stream.Listener);
            stream.Connection.Start();
            _ = AcknowledgeAsync(session, stream, filter, subscribing);
            await stream.Connection.RunAsync();
        }
        finally
        {
            session.Outbox.Remove(stream.Listener);
            foreach (var uri in filter.Resources)
            {
                interests.Leave(session, uri);
            }

            sessions.CloseStream(session);
        }
    }

    private async Task AcknowledgeAsync(Session session, ListenStream stream, ListenFilter filter, List<(string Uri, Task<bool> Works)> subscribing)
    {
        await Task.WhenAll(subscribing.Select(s => s.Works));
        stream.Acknowledge(new ListenFilter(
            filter.Lists.Where(kind => IsTold(session, kind)).ToHashSet(), [.. subscribing.Where(s => s.Works.Result).Select(s => s.Uri)]));
    }

    /// <summary>On the merged route the gateway itself tells of changes; one server tells of those that it declares.</summary>
    private bool IsTold(Session session, ListKind kind)
    {
        if (session.Server is not { } server || discovery.CapabilitiesOf(server) is not { } capabilities)
        {
            return true;
        }

        var declared = JsonFields.Find(capabilities, System.Text.Encoding.ASCII.GetBytes(kind.Capability()), "listChanged"u8);
        return declared.IsPresent && capabilities[declared.Start] == 't';
    }
}
