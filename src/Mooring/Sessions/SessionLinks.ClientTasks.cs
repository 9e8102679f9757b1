using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>
/// Tasks that the client holds for servers (2025-11-25, basic/utilities/tasks). It knows one requestor, the gateway; on the merged route that stands for
/// several servers, of which each reaches only what it had made.
/// </content>
internal sealed partial class SessionLinks
{
    private const string NotTold = "the gateway's store is not reachable, so whose task it is could not be told";

    /// <summary>Whether a task of the client's is one that it holds for this server. Where there is only one, all are.</summary>
    /// <exception cref="StoreException">It cannot be told just now.</exception>
    public async ValueTask<bool> HoldsClientTaskAsync(Upstream upstream, Frame frame) =>
        session.Server is not null
        || (frame.Envelope.TaskId.IsPresent && await services.Owners.IsClientsAsync(session.Id, upstream, frame.Text(frame.Envelope.TaskId)));

    private async Task AskAboutTaskAsync(Link link, Frame frame, Call? call, bool isItsOwn)
    {
        try
        {
            if (await HoldsClientTaskAsync(link.Upstream, frame))
            {
                Ask(link, frame, call, isItsOwn);
                return;
            }

            await link.SendAsync(JsonRpc.Error(frame.Id, JsonRpc.InvalidParams, "Unknown task."), CancellationToken.None);
        }
        catch (StoreException)
        {
            await link.SendAsync(JsonRpc.Error(frame.Id, JsonRpc.InternalError, NotTold), CancellationToken.None);
        }
        catch (Exception e)
        {
            Log.TaskQuestionFailed(services.Logger, e, link.Upstream.Name);
        }
    }

    /// <summary>What is to be done with the client's answer before the server has it; null: nothing.</summary>
    private Func<byte[], Task<byte[]>>? OnAnswer(Link link, Frame question) =>
        session.Server is not null ? null
        : question.Method == McpMethod.TasksList ? answer => OnlyItsOwnAsync(link.Upstream, answer)
        : question.Envelope.Params.IsPresent && JsonFields.Has(question.Span(question.Envelope.Params), "task"u8) ? answer => NoteTaskAsync(link.Upstream, answer)
        : null;

    private async Task<byte[]> NoteTaskAsync(Upstream upstream, byte[] answer)
    {
        var frame = Frame.Parse(answer);
        return frame.Kind == FrameKind.Result && await services.Owners.KeepClientsAsync(session.Id, upstream, frame) is { } why
            ? JsonRpc.Error(frame.Id, JsonRpc.InternalError, why)
            : answer;
    }

    private async Task<byte[]> OnlyItsOwnAsync(Upstream upstream, byte[] answer)
    {
        var frame = Frame.Parse(answer);
        var result = frame.Envelope.Result;
        var list = frame.Kind == FrameKind.Result ? JsonFields.Find(frame.Span(result), "tasks"u8) : default;
        if (!list.IsPresent)
        {
            return answer;
        }

        try
        {
            var own = await services.Owners.ClientsAsync(session.Id, upstream);
            var shown = JsonFields.Elements(frame.Span(result), "tasks"u8).Select(at => frame.Span(at.Offset(result.Start)).ToArray())
                .Where(task => JsonFields.String(task, "taskId"u8) is { } id && TaskOwners.IsAmong(own, session.Id, id));
            return JsonFields.Splice(answer, list.Offset(result.Start), [(byte)'[', .. shown.SelectMany((task, i) => i == 0 ? task : [(byte)',', .. task]), (byte)']']);
        }
        catch (StoreException)
        {
            return JsonRpc.Error(frame.Id, JsonRpc.InternalError, NotTold);
        }
    }
}
