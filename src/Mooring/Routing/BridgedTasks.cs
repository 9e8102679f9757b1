using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>
/// Tasks of 2025-11-25 at servers of the tasks extension, which have no such: the gateway has them, whatever the server makes of the call. Says where that is
/// so; who holds tasks does the rest.
/// </summary>
internal sealed class BridgedTasks(Catalogue catalogue, IBridgedTaskHolder holder)
{
    /// <summary>Who has them.</summary>
    public IBridgedTaskHolder Holder => holder;

    /// <summary>Whether a session's client may have its calls at a server as tasks of its version, and has them from the gateway.</summary>
    public bool Has(Session session, Upstream upstream) =>
        upstream.IsStateless && session.Version.HasTasks() && JsonFields.Find(catalogue.LikelySaidTo(session, upstream).Span, "capabilities"u8, "tasks"u8).IsPresent;

    /// <summary>Whether a request is a call that its client wants as such a task.</summary>
    public bool Wants(Session session, Upstream upstream, Frame request) =>
        request.Method == McpMethod.ToolsCall && session.Version.HasTasks() && upstream.IsStateless
        // Nearly no call does, and to look through its params costs more.
        && request.Bytes.IndexOf("\"task\""u8) >= 0 && request.Envelope.Name.IsPresent
        && !JsonFields.Object(request.Span(request.Envelope.Params), "task"u8).IsEmpty && Has(session, upstream);

    /// <summary>How a session's client knows a task.</summary>
    public static string ShownId(Session session, string server, string id) => session.Server is null ? TaskIds.Of(server, id) : id;
}

/// <summary>Has the tasks that <see cref="BridgedTasks"/> says the gateway has.</summary>
internal interface IBridgedTaskHolder
{
    /// <summary>Makes a task of a call and answers with it. Never throws.</summary>
    Task MakeAsync(WantedTask wanted);

    /// <summary>Answers a request about a task. It may take as long as the task.</summary>
    /// <param name="session">Whose request it is.</param>
    /// <param name="upstream">The server that executes it.</param>
    /// <param name="id">The task's, the gateway's own.</param>
    /// <param name="request">The request.</param>
    /// <param name="reply">Where the answer goes.</param>
    /// <exception cref="Stores.StoreException">It cannot be told just now.</exception>
    Task AnswerAsync(Session session, Upstream upstream, string id, Frame request, Reply reply);

    /// <summary>The tasks of a session's person at a server, as its client sees them, raw JSON.</summary>
    /// <exception cref="Stores.StoreException">It cannot be told just now.</exception>
    Task<List<byte[]>> ListAsync(Session session, Upstream upstream, CancellationToken cancel);
}

/// <summary>A call that is wanted as a task.</summary>
/// <param name="Session">Whose it is.</param>
/// <param name="Upstream">Who is to execute it.</param>
/// <param name="Tool">That server's own name of the tool.</param>
/// <param name="Request">The call.</param>
/// <param name="Reply">Where the task goes.</param>
internal sealed record WantedTask(Session Session, Upstream Upstream, string Tool, Frame Request, Reply Reply);
