using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Calls that became tasks.</content>
internal sealed partial class DynamoDbStore
{
    private const string HeldMeta = "meta";

    private const string HeldBody = "body";

    public async Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll)
    {
        var all = await _table.QueryAllAsync(DynamoKeys.All("HELD").Select(partition => new DynamoQuery(partition).Only("issuer", "subject")), CancellationToken.None);
        if (all.Count >= mostOfAll || all.Count(one => one.Text("issuer") == task.Issuer && one.Text("subject") == task.Subject) >= mostOfOne)
        {
            return false;
        }

        var item = DynamoKeys.Held(task.Id).With("id", Text(task.Id)).With("issuer", Text(task.Issuer)).With("subject", Text(task.Subject))
            .With("route", TextOrNull(task.Route)).With("server", Text(task.Server)).With("tool", Text(task.Tool)).With("status", Number((long)task.Status))
            .With("message", TextOrNull(task.Message)).With("created", Time(task.Created)).With("updated", Time(task.Updated)).With("until", Time(task.Expires))
            .With("replica", Text(task.Replica)).With("serverTask", TextOrNull(task.ServerTask)).With("cursor", TextOrNull(task.Cursor?.ToString())).With("rev", Number(0)).With(DynamoKeys.Expires, Ttl(task.Expires + Grace));
        await _bodies.AddAsync(item, HeldMeta, task.Meta, expires: null, DynamoBodies.ListedBytes);
        await _bodies.AddAsync(item, HeldBody, task.Body, task.Expires + Grace, DynamoBodies.ListedBytes);
        return await _table.WriteAsync(DynamoWrite.Put(item).WhenNotThere().Marked())
            ? true
            : throw new InvalidOperationException($"Task {task.Id} is held already.");
    }

    public async Task<bool> UpdateHeldTaskAsync(HeldTask task)
    {
        var held = new Dictionary<string, AttributeValue>(StringComparer.Ordinal);
        await _bodies.AddAsync(held, HeldBody, task.Body, task.Expires + Grace, DynamoBodies.ListedBytes);
        var write = new DynamoWrite(DynamoKeys.Held(task.Id)).Set("status", Number((long)task.Status)).Set("message", TextOrNull(task.Message))
            .Set("updated", Time(task.Updated)).Set("until", Time(task.Expires)).Set("replica", Text(task.Replica)).Set("serverTask", TextOrNull(task.ServerTask))
            .Set("cursor", TextOrNull(task.Cursor?.ToString())).Set("rev", Number(task.Revision + 1)).Set(DynamoKeys.Expires, Ttl(task.Expires + Grace)).SetBody(held, HeldBody).Marked();
        write.When($"{write.N("rev")} = {write.V(Number(task.Revision))}").When($"{write.N("status")} < {write.V(Number((long)HeldTaskStatus.Completed))}");
        if (await _table.WriteAsync(write))
        {
            return true;
        }

        await _bodies.DropAsync([held], HeldBody);
        return false;
    }

    public async ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) =>
        await _table.GetAsync(DynamoKeys.Held(id), cancel) is { } item && item.Time("until") >= _time.GetUtcNow() ? await ReadHeldAsync(item, cancel) : null;

    public async Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        await ReadHeldAsync(await UnfinishedAsync(query => query.Where($"{query.N("replica")} = {query.V(Text(replica))}"), cancel), cancel);

    public async Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        // Left out here and not by the table: a condition may name so many values only.
        await ReadHeldAsync((await UnfinishedAsync(query => query, cancel)).Where(item => !replicas.Contains(item.Text("replica"))).Take(limit), cancel);

    public async Task DropHeldTaskAsync(string id)
    {
        var (_, before) = await _table.DeleteAsync(DynamoKeys.Held(id));
        await _bodies.DropAsync(before is null ? [] : [before], HeldMeta, HeldBody);
    }

    private async Task ExpireHeldAsync(DateTimeOffset now)
    {
        foreach (var over in await OverAsync("HELD", now))
        {
            // A change that prolonged it meanwhile counts.
            var delete = new DynamoWrite(DynamoKeys.Of(over));
            var (_, before) = await _table.DeleteAsync(delete.When($"{delete.N("until")} < {delete.V(Time(now))}"));
            await _bodies.DropAsync(before is null ? [] : [before], HeldMeta, HeldBody);
        }
    }

    private async Task<IEnumerable<Dictionary<string, AttributeValue>>> UnfinishedAsync(Func<DynamoQuery, DynamoQuery> only, CancellationToken cancel)
    {
        var items = await _table.QueryAllAsync(
            DynamoKeys.All("HELD").Select(partition =>
            {
                var query = new DynamoQuery(partition);
                return only(query.Where($"{query.N("status")} < {query.V(Number((long)HeldTaskStatus.Completed))}"));
            }),
            cancel);
        return items.OrderBy(item => item.Text("id"), StringComparer.Ordinal);
    }

    private async Task<IReadOnlyList<HeldTask>> ReadHeldAsync(IEnumerable<Dictionary<string, AttributeValue>> items, CancellationToken cancel)
    {
        var tasks = new List<HeldTask>();
        foreach (var item in items)
        {
            if (await ReadHeldAsync(item, cancel) is { } task)
            {
                tasks.Add(task);
            }
        }

        return tasks;
    }

    private async Task<HeldTask?> ReadHeldAsync(Dictionary<string, AttributeValue> item, CancellationToken cancel)
    {
        if (await _bodies.ReadAsync(item, HeldMeta, cancel) is not { } meta || await _bodies.ReadAsync(item, HeldBody, cancel) is not { } body)
        {
            return null;
        }

        return new HeldTask
        {
            Id = item.Text("id"),
            Issuer = item.Text("issuer"),
            Subject = item.Text("subject"),
            Route = item.TextOrNull("route"),
            Server = item.Text("server"),
            Tool = item.Text("tool"),
            Meta = meta,
            Status = (HeldTaskStatus)item.Number("status"),
            Message = item.TextOrNull("message"),
            Created = item.Time("created"),
            Updated = item.Time("updated"),
            Expires = item.Time("until"),
            Replica = item.Text("replica"),
            ServerTask = item.TextOrNull("serverTask"),
            Body = body,
            Revision = item.Number("rev"),
            Cursor = CallCursor.Parse(item.TextOrNull("cursor")),
        };
    }
}
