using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Catalogue, names and whose tasks are whose.</content>
internal sealed partial class DynamoDbStore
{
    private const string CatalogueBody = "body";

    /// <summary>After its end a row may stay this long, before the service deletes it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromHours(1);

    public async Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel)
    {
        var all = new List<CatalogueRecord>();
        foreach (var item in await _table.QueryAsync(new DynamoQuery(DynamoKeys.CataloguePartition), cancel))
        {
            if (await ReadCatalogueAsync(item, cancel) is { } record)
            {
                all.Add(record);
            }
        }

        return all;
    }

    public async ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) =>
        await _table.GetAsync(CatalogueKeyOf(server, key, kind), cancel) is { } item ? await ReadCatalogueAsync(item, cancel) : null;

    public async Task SaveCatalogueAsync(CatalogueRecord record)
    {
        var item = CatalogueKeyOf(record.Server, record.Key, record.Kind).With("server", Text(record.Server))
            .With("key", Text(record.Key)).With("kind", Text(record.Kind)).With("hash", Text(record.Hash)).With("fetched", Time(record.Fetched));
        await _bodies.AddAsync(item, CatalogueBody, record.Body, expires: null);
        await _table.WriteAsync(DynamoWrite.Put(item));
    }

    public Task DeleteCatalogueAsync(string server) => DropCatalogueAsync(CatalogueOf(server));

    public Task DeleteCatalogueAsync(string server, string key)
    {
        var query = CatalogueOf(server);
        return DropCatalogueAsync(query.Where($"{query.N("key")} = {query.V(Text(key))}"));
    }

    private static Dictionary<string, AttributeValue> CatalogueKeyOf(string server, string key, string kind) =>
        DynamoKeys.Key(DynamoKeys.CataloguePartition, Hash(server) + "#" + Hash(key, kind));

    private static DynamoQuery CatalogueOf(string server) =>
        new DynamoQuery(DynamoKeys.CataloguePartition).StartingWith(Hash(server) + "#").Only([DynamoKeys.Partition, DynamoKeys.Sort, .. AttributesOf(CatalogueBody)]);

    private async Task<CatalogueRecord?> ReadCatalogueAsync(Dictionary<string, AttributeValue> item, CancellationToken cancel) =>
        await _bodies.ReadAsync(item, CatalogueBody, cancel) is { } body
            ? new CatalogueRecord(item.Text("server"), item.Text("key"), item.Text("kind"), body, item.Text("hash"), item.Time("fetched"))
            : null;

    private async Task DropCatalogueAsync(DynamoQuery query)
    {
        var items = await _table.QueryAsync(query, CancellationToken.None);
        await _table.DeleteAllAsync(items.Select(DynamoKeys.Of));
        await _bodies.DropAsync(items, CatalogueBody);
    }

    public async Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) =>
        [.. (await _table.QueryAsync(new DynamoQuery(DynamoKeys.NamePartition), cancel)).Select(item => new NameRecord(item.Text("kind"), item.Text("name"), item.Text("server")))];

    public async Task<string> ClaimNameAsync(NameRecord name)
    {
        var key = DynamoKeys.Key(DynamoKeys.NamePartition, Hash(name.Kind, name.Name));
        while (true)
        {
            if (await _table.GetAsync(key, CancellationToken.None) is { } held)
            {
                return held.Text("server");
            }

            var item = new Dictionary<string, AttributeValue>(key, StringComparer.Ordinal)
                .With("kind", Text(name.Kind)).With("name", Text(name.Name)).With("server", Text(name.Server));
            if (await _table.WriteAsync(DynamoWrite.Put(item).WhenNotThere()))
            {
                return name.Server;
            }
        }
    }

    public async Task ReleaseNamesAsync(string server)
    {
        var query = new DynamoQuery(DynamoKeys.NamePartition);
        foreach (var held in await _table.QueryAsync(query.Where($"{query.N("server")} = {query.V(Text(server))}"), CancellationToken.None))
        {
            // Somebody else's by now is left alone.
            var delete = new DynamoWrite(DynamoKeys.Of(held));
            await _table.DeleteAsync(delete.When($"{delete.N("server")} = {delete.V(Text(server))}"));
        }
    }

    public Task SaveTaskAsync(TaskRecord task) => _table.WriteAsync(DynamoWrite.Put(
        DynamoKeys.Task(task.Server, task.TaskId).With("id", Text(task.TaskId)).With("issuer", Text(task.Issuer)).With("subject", Text(task.Subject))
            .With("until", Time(task.Expires)).With(DynamoKeys.Expires, Ttl(task.Expires + Grace))));

    public async ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) =>
        await _table.GetAsync(DynamoKeys.Task(server, taskId), cancel) is { } item && item.Time("until") >= _time.GetUtcNow()
            ? new TaskRecord(server, taskId, item.Text("issuer"), item.Text("subject"), item.Time("until"))
            : null;

    public async Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel)
    {
        var query = new DynamoQuery(DynamoKeys.TaskPartition(server)).StartingWith(DynamoKeys.TasksOf(server));
        query.Where($"{query.N("issuer")} = {query.V(Text(issuer))}").Where($"{query.N("subject")} = {query.V(Text(subject))}")
            .Where($"{query.N("until")} >= {query.V(Time(_time.GetUtcNow()))}");
        return [.. (await _table.QueryAsync(query, cancel)).Select(item => item.Text("id"))];
    }

    public async Task ExpireTasksAsync(DateTimeOffset now)
    {
        foreach (var over in await OverAsync("TASK", now))
        {
            // One that was prolonged meanwhile stays.
            var delete = new DynamoWrite(DynamoKeys.Of(over));
            await _table.DeleteAsync(delete.When($"{delete.N("until")} < {delete.V(Time(now))}"));
        }

        await ExpireHeldAsync(now);
    }

    /// <summary>Rows of a listing whose time was up before now. A row that is prolonged at this very moment is a caller's who knew that it was over.</summary>
    private Task<List<Dictionary<string, AttributeValue>>> OverAsync(string prefix, DateTimeOffset now, params string[] also) => _table.QueryAllAsync(
        DynamoKeys.All(prefix).Select(partition =>
        {
            var query = new DynamoQuery(partition).Only([DynamoKeys.Partition, DynamoKeys.Sort, .. also]).Loosely();
            return query.Where($"{query.N("until")} < {query.V(Time(now))}");
        }),
        CancellationToken.None);
}
