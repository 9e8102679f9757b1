using System.Text;
using Mooring.Stores;

namespace Mooring.Vault;

/// <content>Tasks: what was asked with them, what is asked back, and what came of them.</content>
internal sealed partial class SealedStore
{
    public Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll) => inner.HoldTaskAsync(Seal(task, task.Revision), mostOfOne, mostOfAll);

    /// <summary>The row has the next revision once it is changed.</summary>
    public Task<bool> UpdateHeldTaskAsync(HeldTask task) => inner.UpdateHeldTaskAsync(Seal(task, task.Revision + 1));

    public async ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) =>
        await inner.FindHeldTaskAsync(id, cancel) is { } task ? await OpenAsync(task, cancel) : null;

    public async Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        await OpenAsync(await inner.FindUnfinishedTasksAsync(replica, cancel), cancel);

    public async Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        await OpenAsync(await inner.FindUnfinishedTasksExceptAsync(replicas, limit, cancel), cancel);

    private async Task<IReadOnlyList<HeldTask>> OpenAsync(IReadOnlyList<HeldTask> tasks, CancellationToken cancel)
    {
        var opened = new List<HeldTask>(tasks.Count);
        foreach (var task in tasks)
        {
            opened.Add(await OpenAsync(task, cancel));
        }

        return opened;
    }

    public Task DropHeldTaskAsync(string id) => inner.DropHeldTaskAsync(id);

    // Written once, and not with the changes.
    private static RowName Meta(string id) => new("held_tasks", id, "meta", 0);

    private static RowName Body(string id, long revision) => new("held_tasks", id, "body", revision);

    private static RowName Message(string id, long revision) => new("held_tasks", id, "message", revision);

    private HeldTask Seal(HeldTask task, long revision) => !keys.Seals ? task : task with
    {
        Meta = keys.Seal(Meta(task.Id), task.Meta),
        Body = keys.Seal(Body(task.Id, revision), task.Body),
        Message = task.Message is { } text ? SealText(Message(task.Id, revision), Encoding.UTF8.GetBytes(text)) : null,
    };

    private async ValueTask<HeldTask> OpenAsync(HeldTask task, CancellationToken cancel) => task with
    {
        Meta = await keys.OpenAsync(Meta(task.Id), task.Meta, cancel),
        Body = await keys.OpenAsync(Body(task.Id, task.Revision), task.Body, cancel),
        Message = task.Message is { } text && text.StartsWith(SealedText, StringComparison.Ordinal)
            ? Encoding.UTF8.GetString((await OpenTextAsync(Message(task.Id, task.Revision), text, $"The message of task {task.Id}", cancel)).Span)
            : task.Message,
    };
}
