using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>Which server a request on the merged route is for, by the name, URI, reference or task id in it, and what that is called there.</summary>
internal sealed class Destinations(UpstreamTable upstreams, Views views, Catalogue catalogue)
{
    /// <summary>Lists in which a name would stand that nobody known has.</summary>
    public static ListKind[] ListsThatTell(McpMethod method) => method switch
    {
        McpMethod.ToolsCall => [ListKind.Tools],
        McpMethod.PromptsGet => [ListKind.Prompts],
        McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe => [ListKind.Resources, ListKind.Templates],
        McpMethod.Complete => [ListKind.Prompts, ListKind.Resources, ListKind.Templates],
        _ => [],
    };

    /// <summary>The server, with what to replace in the request; null with the error to answer.</summary>
    public (Upstream Upstream, (Slice, ReadOnlyMemory<byte>)? Renamed)? Of(Session session, Frame request, out (int Code, string Message, byte[]? Data) error)
    {
        ref readonly var envelope = ref request.Envelope;
        error = default;
        switch (request.Method)
        {
            case McpMethod.ToolsCall or McpMethod.PromptsGet:
                var kind = request.Method == McpMethod.ToolsCall ? ListKind.Tools : ListKind.Prompts;
                var shown = request.Text(envelope.Name);
                if (views.Find(session, kind, shown) is { } place)
                {
                    return (place.Upstream, Rename(envelope.Name, shown, place.Name));
                }

                error = (JsonRpc.InvalidParams, $"Unknown {(kind == ListKind.Tools ? "tool" : "prompt")}: {shown}", null);
                return null;

            case McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe:
                var uri = request.Text(envelope.Uri);
                if (views.ServerOf(session, uri) is { } owner)
                {
                    return (owner.Upstream, Rename(envelope.Uri, uri, owner.Uri));
                }

                error = (JsonRpc.ResourceNotFound, $"Resource not found: {uri}", [.. "{\"uri\":"u8, .. JsonText.Quote(uri), (byte)'}']);
                return null;

            case McpMethod.Complete:
                return CompletionOwner(session, request, out error);

            case McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel:
                var id = request.Text(envelope.TaskId);
                if (TaskIds.Parse(id) is { } task && upstreams.Find(task.Server) is { } runs)
                {
                    return (runs, (envelope.TaskId, JsonText.Quote(task.TaskId)));
                }

                error = (JsonRpc.InvalidParams, $"Unknown task: {id}", null);
                return null;

            default:
                error = (JsonRpc.MethodNotFound, $"Method not found: {request.MethodName}", null);
                return null;
        }
    }

    /// <summary>What the tool that is called says of itself, as far as it is known.</summary>
    public ToolHints ToolOf(Session session, Frame request)
    {
        if (session.Server is { } single)
        {
            return upstreams.Find(single) is { } only ? HintsOf(session, only, request, renamed: null) : ToolHints.None;
        }

        return views.Find(session, ListKind.Tools, request.Text(request.Envelope.Name)) is { } place ? HintsOf(session, place.Upstream, request, place.Name) : ToolHints.None;
    }

    private ToolHints HintsOf(Session session, Upstream upstream, Frame request, string? renamed) =>
        // Asked before the name is read: of nearly all servers no tool has anything to do with tasks.
        catalogue.ToolsOf(session, upstream) is { HasTasks: true } tools ? tools.Find(renamed ?? request.Text(request.Envelope.Name))?.Hints ?? ToolHints.None : ToolHints.None;

    private (Upstream, (Slice, ReadOnlyMemory<byte>)?)? CompletionOwner(Session session, Frame request, out (int Code, string Message, byte[]? Data) error)
    {
        error = (JsonRpc.InvalidParams, "completion/complete needs a \"ref\" to a known prompt or resource.", null);
        var at = request.Envelope.Reference;
        if (!at.IsPresent)
        {
            return null;
        }

        var reference = request.Span(at);
        if (JsonFields.String(reference, "name"u8) is { } prompt)
        {
            if (views.Find(session, ListKind.Prompts, prompt) is not { } place)
            {
                return null;
            }

            var name = JsonFields.Find(reference, "name"u8).Offset(at.Start);
            return (place.Upstream, Rename(name, prompt, place.Name));
        }

        if (JsonFields.String(reference, "uri"u8) is not { } uri || views.ServerOf(session, uri) is not { } owner)
        {
            return null;
        }

        return (owner.Upstream, Rename(JsonFields.Find(reference, "uri"u8).Offset(at.Start), uri, owner.Uri));
    }

    private static (Slice, ReadOnlyMemory<byte>)? Rename(Slice where, string shown, string real) =>
        string.Equals(shown, real, StringComparison.Ordinal) ? null : (where, JsonText.Quote(real));
}
