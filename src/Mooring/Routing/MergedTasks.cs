using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary><c>tasks/list</c> on the merged route: the tasks of every server that has tasks, in one answer.</summary>
internal static class MergedTasks
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private const int MaxPages = 100;

    public static async Task ListAsync(Session session, Frame request, Reply reply, UpstreamTable upstreams, TimeProvider time)
    {
        var items = new List<byte[]>();
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            foreach (var link in session.Links.Open.Where(HasTasks))
            {
                await ReadAsync(link, items, limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // What the slow server has is missing from this answer; the others' tasks are in it.
        }

        byte[] result = [.. "{\"tasks\":["u8, .. items.SelectMany((item, i) => i == 0 ? item : [(byte)',', .. item]), .. "]}"u8];
        reply.Complete(request.Raw(request.Envelope.Id), JsonRpc.Result(request.Id, result));
    }

    public static bool HasTasks(Link link) => JsonFields.Find(link.InitializeResult.Span, "capabilities"u8, "tasks"u8).IsPresent;

    private static async Task ReadAsync(Link link, List<byte[]> items, CancellationToken cancel)
    {
        byte[] parameters = [];
        for (var page = 0; page < MaxPages; page++)
        {
            var attempt = await link.RequestAsync("tasks/list", parameters, cancel);
            if (attempt.Kind != AttemptKind.Answered || attempt.Answer!.Kind != FrameKind.Result)
            {
                return;
            }

            var shown = Frame.Parse(TaskIds.Show(attempt.Answer.Bytes.ToArray(), link.Upstream.Name));
            var result = shown.Span(shown.Envelope.Result).ToArray();
            items.AddRange(JsonFields.Elements(result, "tasks"u8).Select(at => result.AsSpan(at.Start, at.Length).ToArray()));
            if (JsonFields.String(result, "nextCursor"u8) is not { Length: > 0 } cursor)
            {
                return;
            }

            parameters = [.. "{\"cursor\":"u8, .. JsonText.Quote(cursor), (byte)'}'];
        }
    }
}
