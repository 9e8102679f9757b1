using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>
/// <c>tasks/list</c> where one server's own answer will not do: on the merged route the tasks of every server that has tasks, in one
/// answer; of a server whose link several people share only those of the person who asks; and those that the gateway has in its server's stead.
/// </summary>
internal sealed partial class MergedTasks(UpstreamTable upstreams, SharedLinks shared, TaskOwners owners, BridgedTasks bridged, TimeProvider time, ILogger<MergedTasks> logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private const int MaxPages = 100;

    public async Task ListAsync(Session session, Frame request, Reply reply)
    {
        if (Lists.HasCursor(request))
        {
            // All of them are in one answer, so no cursor was ever given out.
            reply.Refuse(request, JsonRpc.InvalidParams, "Unknown cursor.");
            return;
        }

        using var limit = new CancellationTokenSource(Patience, time);
        var lists = await Task.WhenAll(upstreams.All
            .Where(upstream => (session.Server is null || session.Server == upstream.Name) && !reply.Access.Hides(upstream.Name))
            .Select(upstream => ReadAsync(session, upstream, limit.Token)));
        var items = lists.SelectMany(list => list);
        byte[] result = [.. "{\"tasks\":["u8, .. items.SelectMany((item, i) => i == 0 ? item : [(byte)',', .. item]), .. "]}"u8];
        reply.Complete(request.Raw(request.Envelope.Id), JsonRpc.Result(request.Id, result));
    }

    private static bool HasTasks(Link link) => JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, "tasks"u8).IsPresent;

    private async Task<List<byte[]>> ReadAsync(Session session, Upstream upstream, CancellationToken cancel)
    {
        var items = new List<byte[]>();
        try
        {
            if (bridged.Has(session, upstream))
            {
                items.AddRange(await bridged.Holder.ListAsync(session, upstream, cancel));
            }
            else if (upstream.IsStateless)
            {
                // Its tasks, if it makes any, are nobody's to list.
            }
            else if (upstream.IsPerSession)
            {
                if (session.Links.Open.FirstOrDefault(link => ReferenceEquals(link.Upstream, upstream)) is { } link && HasTasks(link))
                {
                    await ReadAsync(session, link, only: null, items, cancel);
                }
            }
            else if (await owners.OfAsync(session.Principal, upstream, cancel) is { Count: > 0 } own
                && await shared.GetAsync(upstream, cancel) is { Link: { } link } && HasTasks(link))
            {
                await ReadAsync(session, link, own, items, cancel);
            }
        }
        catch (OperationCanceledException)
        {
            // What the slow server has is missing from this answer; the others' tasks are in it.
        }
        catch (StoreException e)
        {
            Log.OwnersNotKnown(logger, upstream.Name, e.Message);
        }

        return items;
    }

    private static async Task ReadAsync(Session session, Link link, IReadOnlySet<string>? only, List<byte[]> items, CancellationToken cancel)
    {
        byte[] parameters = [];
        for (var page = 0; page < MaxPages; page++)
        {
            var attempt = await link.RequestAsync("tasks/list", parameters, cancel);
            if (attempt.Kind != AttemptKind.Answered || attempt.Answer!.Kind != FrameKind.Result)
            {
                return;
            }

            var answer = attempt.Answer.Bytes.ToArray();
            var real = Tasks(answer);
            var shown = session.Server is null ? Tasks(TaskIds.Show(answer, link.Upstream.Name)) : real;
            items.AddRange(shown.Where((_, i) => only is null || (JsonFields.String(real[i], "taskId"u8) is { } id && only.Contains(id))));
            if (JsonFields.String(attempt.Answer.Span(attempt.Answer.Envelope.Result), "nextCursor"u8) is not { Length: > 0 } cursor)
            {
                return;
            }

            parameters = [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
        }
    }

    private static List<byte[]> Tasks(byte[] answer)
    {
        var frame = Frame.Parse(answer);
        var result = frame.Span(frame.Envelope.Result).ToArray();
        return [.. JsonFields.Elements(result, "tasks"u8).Select(at => result.AsSpan(at.Start, at.Length).ToArray())];
    }

    private static partial class Log
    {
        [LoggerMessage(230, LogLevel.Debug, "Whose the tasks of server {Server} are could not be read; they are missing from a list: {Reason}", EventName = "TaskOwnersNotKnown")]
        public static partial void OwnersNotKnown(ILogger logger, string server, string reason);
    }
}
