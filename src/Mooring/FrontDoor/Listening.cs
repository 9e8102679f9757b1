using System.Globalization;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Tasks;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>Serves <c>subscriptions/listen</c> over all servers of a route together (2026-07-28, basic/patterns/subscriptions).</summary>
internal sealed partial class Listening(FrontDoorServices services, Discovery discovery, Interests interests, UpstreamTable upstreams, Catalogue catalogue, Views views, HeldTasks tasks, TaskNews news)
{
    /// <summary>Stays until the client leaves, or the gateway goes and has it connect elsewhere.</summary>
    public async Task ListenAsync(HttpContext context, Session session, Frame request)
    {
        if (ListenFilter.Read(request, out var wrong) is not { } filter)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, JsonRpc.InvalidParams, wrong, request.Id);
            return;
        }

        if (filter.Tasks is not null && TaskMethods.Lacks(session) is { } lack)
        {
            await Answers.WriteAsync(context, lack.Status, JsonRpc.Error(request.Id, lack.Code, lack.Message, lack.Data));
            return;
        }

        if (await OwnTasksAsync(session, filter) is not { } own)
        {
            context.Response.Headers.RetryAfter = Answers.StoreRetryAfter;
            await Answers.RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, JsonRpc.InternalError, "The gateway's store is not reachable just now, so whose tasks these are cannot be told. Try again.", request.Id);
            return;
        }

        if (await services.TryOpenStreamAsync(session) is { } refusal)
        {
            context.Response.Headers.RetryAfter = refusal.Seconds.ToString(CultureInfo.InvariantCulture);
            await Answers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, JsonRpc.ServerError, refusal.Why, request.Id);
            return;
        }

        try
        {
            await ServeAsync(new ListenStream(context, services.Streams, request.Id.ToArray(), filter), session, filter, own);
        }
        finally
        {
            // Whatever happened: its place is nobody's otherwise, and its session would be kept for ever.
            services.CloseStream(session);
        }
    }

    private async Task ServeAsync(ListenStream stream, Session session, ListenFilter filter, IReadOnlyList<string> own)
    {
        var ears = own.Select(id => new TaskEar(id, task => stream.Tell(TaskState.Notification(task)))).ToList();
        var subscribing = filter.Resources.Select(uri => (Uri: uri, Works: interests.EnterAsync(session, uri))).ToList();
        try
        {
            foreach (var kind in session.Outbox.Add(stream.Listener) ?? ChangedLately(session, filter))
            {
                // Told once it is acknowledged, as far as it is.
                stream.Listener.Hear(JsonRpc.Notification(kind.Changed()));
            }

            stream.Connection.Start();
            _ = AcknowledgeAsync(session, stream, filter, own, subscribing, ears);
            await stream.Connection.RunAsync();
        }
        finally
        {
            session.Outbox.Remove(stream.Listener);
            lock (ears)
            {
                ears.ForEach(news.Remove);
                ears.Clear();
            }

            foreach (var uri in filter.Resources)
            {
                interests.Leave(session, uri);
            }
        }
    }

    private async Task AcknowledgeAsync(Session session, ListenStream stream, ListenFilter filter, IReadOnlyList<string> own, List<(string Uri, Task<bool> Works)> subscribing, List<TaskEar> ears)
    {
        try
        {
            await Task.WhenAll(subscribing.Select(s => s.Works));
            stream.Acknowledge(new ListenFilter(
                filter.Lists.Where(kind => IsTold(session, kind)).ToHashSet(), [.. subscribing.Where(s => s.Works.Result).Select(s => s.Uri)], own));
            lock (ears)
            {
                // None are left where the client is gone meanwhile.
                ears.ForEach(news.Add);
            }
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever: it listens again.
            Log.NotAcknowledged(services.Logger, e);
            stream.Connection.Complete(StreamReason.Error, ClosedBy.Gateway);
        }
    }

    /// <summary>Which of the tasks are the client's to hear of; null where the store cannot say.</summary>
    private async Task<List<string>?> OwnTasksAsync(Session session, ListenFilter filter)
    {
        var own = new List<string>();
        try
        {
            foreach (var id in filter.Tasks ?? [])
            {
                if (await tasks.FindAsync(session.Principal, session.Server, id) is not null)
                {
                    own.Add(id);
                }
            }
        }
        catch (StoreException)
        {
            return null;
        }

        return own;
    }

    /// <summary>
    /// Lists of a client that nothing is known of here: it may have listened at another replica, or at this one before a restart or long ago, or never. What
    /// it was shown last nobody can tell, but when each list became what it is is kept with it. So it is told of those that are new enough for a client to have an older
    /// one, which is as long as a client with a session could come back; for one that has never listened that is at most one reading of a list too many, on a day on which it changed.
    /// </summary>
    private HashSet<ListKind> ChangedLately(Session session, ListenFilter filter)
    {
        var since = services.Time.GetUtcNow() - services.Config.Current.Sessions.Idle;
        var servers = upstreams.All.Where(upstream => (session.Server is null || session.Server == upstream.Name) && session.MayHear(upstream)).ToList();
        return filter.Lists.Where(kind => servers.Exists(upstream => IsNewer(upstream, kind) || (kind == ListKind.Resources && IsNewer(upstream, ListKind.Templates)))).ToHashSet();

        // What is shown under other conditions may be what this client was shown before it was another.
        bool IsNewer(Upstream upstream, ListKind kind) =>
            views.Known(session, upstream, kind)?.Changed > since || (!upstream.NeedsAccount && catalogue.FindAny(upstream.Name)[kind]?.Changed > since);
    }

    /// <summary>On the merged route the gateway itself tells of changes; one server tells of those that it declares.</summary>
    private bool IsTold(Session session, ListKind kind)
    {
        if (session.Server is not { } server || discovery.CapabilitiesOf(session, server) is not { } capabilities)
        {
            return true;
        }

        var declared = JsonFields.Find(capabilities, System.Text.Encoding.ASCII.GetBytes(kind.Capability()), "listChanged"u8);
        return declared.IsPresent && capabilities[declared.Start] == 't';
    }

    private static partial class Log
    {
        [LoggerMessage(147, LogLevel.Error, "A client that listens was not told what it hears of; its stream ends.", EventName = "ListenNotAcknowledged")]
        public static partial void NotAcknowledged(ILogger logger, Exception exception);
    }
}
