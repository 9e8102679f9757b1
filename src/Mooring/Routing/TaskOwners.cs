using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>
/// Whose task is whose on links that several people share: their server sees one client and would hand anybody's task to everybody. On a
/// link of its own a session reaches only what that session of the server made. And for which server a session's client holds a task, where several
/// servers may ask about its tasks.
/// </summary>
internal sealed class TaskOwners(IStore store, TimeProvider time)
{
    /// <summary>For a task whose server sets no limit, or a longer one.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    /// <summary>Clocks of servers are not ours.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromHours(1);

    /// <summary>In the place of an issuer: the subject is a session, whose client holds the task. No issuer has such a name.</summary>
    private const string HeldByClient = "mooring:client";

    /// <summary>Whether this request may make a task that needs an owner.</summary>
    public static bool MayMake(Upstream upstream, Frame request) =>
        !upstream.IsPerSession && request.Envelope.Params.IsPresent && JsonFields.Has(request.Span(request.Envelope.Params), "task"u8);

    /// <summary>Commits whose the task is that a server made; only then may its id leave.</summary>
    /// <returns>Null, or why the id must not leave.</returns>
    public Task<string?> KeepAsync(Principal principal, Upstream upstream, Frame answer) => KeepAsync(principal, upstream, answer, id => id);

    /// <summary>As <see cref="KeepAsync(Principal, Upstream, Frame)"/>, for a task that a session's client holds for a server.</summary>
    public Task<string?> KeepClientsAsync(string session, Upstream upstream, Frame answer) =>
        KeepAsync(new Principal(HeldByClient, session), upstream, answer, id => ClientsId(session, id));

    /// <summary>Whether a session's client holds the task for this server.</summary>
    /// <inheritdoc cref="IsOfAsync"/>
    public async ValueTask<bool> IsClientsAsync(string session, Upstream upstream, string taskId) =>
        await store.FindTaskAsync(upstream.Name, ClientsId(session, taskId), CancellationToken.None) is not null;

    /// <summary>Whether what <see cref="ClientsAsync"/> gave has a task.</summary>
    public static bool IsAmong(IReadOnlySet<string> clients, string session, string taskId) => clients.Contains(ClientsId(session, taskId));

    /// <summary>All that a session's client holds for this server.</summary>
    /// <inheritdoc cref="IsOfAsync"/>
    public Task<IReadOnlySet<string>> ClientsAsync(string session, Upstream upstream) => OfAsync(new Principal(HeldByClient, session), upstream, CancellationToken.None);

    private static string ClientsId(string session, string taskId) => $"{session}/{taskId}";

    private async Task<string?> KeepAsync(Principal principal, Upstream upstream, Frame answer, Func<string, string> nameOf)
    {
        var result = answer.Span(answer.Envelope.Result).ToArray();
        var task = JsonFields.Find(result, "task"u8) is { IsPresent: true } at ? result.AsSpan(at.Start, at.Length).ToArray() : [];
        if (task is not [(byte)'{', ..] || JsonFields.String(task, "taskId"u8) is not { } id)
        {
            return null;
        }

        try
        {
            await store.SaveTaskAsync(new TaskRecord(upstream.Name, nameOf(id), principal.Issuer, principal.Subject, time.GetUtcNow() + LifeOf(task) + Slack));
            return null;
        }
        catch (StoreException)
        {
            return "the gateway's store is not reachable, so whose task it is could not be remembered";
        }
    }

    /// <summary>Whether the task is this person's.</summary>
    /// <exception cref="StoreException">It cannot be told just now.</exception>
    public async ValueTask<bool> IsOfAsync(Principal principal, Upstream upstream, string taskId) => await OwnerAsync(upstream, taskId) == principal;

    /// <summary>Whose task it is; null when nobody's who came through here.</summary>
    /// <inheritdoc cref="IsOfAsync"/>
    public async ValueTask<Principal?> OwnerAsync(Upstream upstream, string taskId) =>
        await store.FindTaskAsync(upstream.Name, taskId, CancellationToken.None) is { } task ? new Principal(task.Issuer, task.Subject) : null;

    /// <summary>This person's tasks at a server, by its own ids.</summary>
    /// <inheritdoc cref="IsOfAsync"/>
    public async Task<IReadOnlySet<string>> OfAsync(Principal principal, Upstream upstream, CancellationToken cancel) =>
        (await store.FindTasksOfAsync(upstream.Name, principal.Issuer, principal.Subject, cancel)).ToHashSet(StringComparer.Ordinal);

    /// <summary>2025-11-25, basic/utilities/tasks: <c>ttl</c> is in milliseconds from creation, null for no limit.</summary>
    private static TimeSpan LifeOf(ReadOnlySpan<byte> task)
    {
        var at = JsonFields.Find(task, "ttl"u8);
        return at.IsPresent && System.Buffers.Text.Utf8Parser.TryParse(task.Slice(at.Start, at.Length), out double ttl, out _) && ttl < Longest.TotalMilliseconds
            ? TimeSpan.FromMilliseconds(Math.Max(0, ttl))
            : Longest;
    }
}
