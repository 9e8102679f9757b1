using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>What the policies say of one request.</summary>
internal enum Permit
{
    Given,

    Refused,

    /// <summary>Only tools that change nothing are allowed, and nothing is known yet of what this one says of itself.</summary>
    Unknown,
}

/// <summary>Whether a caller may do what a request asks of a server, and what lists show of it.</summary>
internal sealed class Permits(UpstreamTable upstreams, Views views, Destinations destinations)
{
    /// <summary>Whether a request may go to a server.</summary>
    /// <param name="access">What its caller may do.</param>
    /// <param name="session">Whose it is.</param>
    /// <param name="upstream">The server.</param>
    /// <param name="request">The request.</param>
    /// <param name="renamed">What it is called there, where that is another name.</param>
    public Permit Of(Access access, Session session, Upstream upstream, Frame request, (Slice Where, ReadOnlyMemory<byte> With)? renamed = null)
    {
        if (access.ShowsAll(upstream.Name))
        {
            return Permit.Given;
        }

        switch (request.Method)
        {
            case McpMethod.ToolsCall:
                if (!request.Envelope.Name.IsPresent)
                {
                    // Which tool the server would find in it nobody here can tell.
                    return Permit.Refused;
                }

                var tool = renamed is { } there ? JsonText.Read(there.With.Span) : request.Text(request.Envelope.Name);
                return access.ToTool(upstream.Name, tool) switch
                {
                    PolicyEffect.Allow => Permit.Given,
                    PolicyEffect.Deny => Permit.Refused,
                    _ => OfReading(views.Known(session, upstream, ListKind.Tools), tool),
                };
            case McpMethod.PromptsGet or McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe or McpMethod.Complete:
                return access.To(upstream.Name) == PolicyEffect.Deny ? Permit.Refused : Permit.Given;
            case McpMethod.ToolsList or McpMethod.PromptsList or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList or McpMethod.Discover or McpMethod.Listen:
                // Answered here, with what may be seen.
                return Permit.Given;
            case McpMethod.Ping or McpMethod.SetLevel or McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel or McpMethod.TasksList or McpMethod.TasksUpdate:
                // Of what was begun when it was allowed.
                return access.Hides(upstream.Name) ? Permit.Refused : Permit.Given;
            default:
                // What it does nobody here can tell.
                return access.To(upstream.Name) == PolicyEffect.Allow ? Permit.Given : Permit.Refused;
        }
    }

    /// <summary>Whether what a client says without asking may go to a server: what the protocol knows, where the server is shown at all; the rest as a method that nobody knows.</summary>
    public static bool OfNotification(Access access, Upstream upstream, Frame notification) => notification.Method is McpMethod.RootsListChanged or McpMethod.TasksStatus
        ? !access.Hides(upstream.Name)
        : access.To(upstream.Name) == PolicyEffect.Allow;

    /// <summary>A tool that says nothing of itself may change things.</summary>
    private static Permit OfReading(ServerList? tools, string tool) => tools is null ? Permit.Unknown
        : tools.Find(tool)?.Hints.HasFlag(ToolHints.ReadOnly) == true ? Permit.Given
        : Permit.Refused;

    /// <summary>As the other, of a request whose server is still to be found; one that is not found is somebody else's to refuse.</summary>
    public Permit Of(Access access, Session session, Frame request)
    {
        if (access.IsEverything)
        {
            return Permit.Given;
        }

        if (session.Server is { } name)
        {
            return upstreams.Find(name) is { } only ? Of(access, session, only, request) : Permit.Given;
        }

        return destinations.Of(session, request, out _) is { } to ? Of(access, session, to.Upstream, request, to.Renamed) : Permit.Given;
    }

    /// <summary>What is refused is said in so many words; names are the ones that the client used.</summary>
    public static string Why(Frame request) => request.Method switch
    {
        McpMethod.ToolsCall => $"The policies of this gateway do not let you use the tool \"{request.Text(request.Envelope.Name)}\".",
        McpMethod.PromptsGet => $"The policies of this gateway do not let you use the prompt \"{request.Text(request.Envelope.Name)}\".",
        McpMethod.ResourcesRead or McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe =>
            $"The policies of this gateway do not let you use the resource \"{request.Text(request.Envelope.Uri)}\".",
        _ => $"The policies of this gateway do not let you use {request.MethodName} there.",
    };

    /// <summary>Beside the message, for programs.</summary>
    public static byte[] Data => [.. "{\"reason\":\"policy\"}"u8];

    /// <summary>Whether an item of a server stands in the lists of a caller.</summary>
    public static bool Shows(Access access, string server, ListKind kind, ServerList.Item item) => kind == ListKind.Tools
        ? access.ToTool(server, item.Name) switch
        {
            PolicyEffect.Allow => true,
            PolicyEffect.ReadOnly => item.Hints.HasFlag(ToolHints.ReadOnly),
            _ => false,
        }
        : access.To(server) != PolicyEffect.Deny;

    /// <summary>A server's list as a caller sees it. Never kept: it is nobody else's.</summary>
    public static ServerList Shown(Access access, string server, ServerList list)
    {
        if (access.ShowsAll(server) || list.Items.All(item => Shows(access, server, list.Kind, item)))
        {
            return list;
        }

        var items = new List<byte> { (byte)'[' };
        foreach (var item in list.Items.Where(item => Shows(access, server, list.Kind, item)))
        {
            if (items.Count > 1)
            {
                items.Add((byte)',');
            }

            items.AddRange(list.Raw(item));
        }

        items.Add((byte)']');
        return ServerList.Of(list.Kind, JsonFields.Splice(list.Result, JsonFields.Find(list.Result, list.Kind.KeyBytes()), items.ToArray()));
    }

    /// <summary>The list of all servers as a caller sees it, and what its cursors are bound to. Names are those that everybody sees.</summary>
    public static (IReadOnlyList<byte[]> Items, string Hash) Shown(Access access, MergedList list, ProtocolVersion version, IReadOnlyCollection<Upstream> offerTasks)
    {
        var all = list.ItemsFor(version, offerTasks);
        if (access.IsEverything || list.Sources.All(source => access.ShowsAll(source.Upstream.Name)))
        {
            return (all, list.Hash);
        }

        var kept = Enumerable.Range(0, all.Count).Where(i => Shows(access, list.Origins[i].Upstream.Name, list.Kind, list.Origins[i].Item)).ToList();
        return kept.Count == all.Count
            ? (all, list.Hash)
            : ([.. kept.Select(i => all[i])], Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(
                System.Text.Encoding.ASCII.GetBytes($"{list.Hash}:{string.Join(',', kept)}")).AsSpan(0, 6)));
    }
}
