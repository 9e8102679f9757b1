using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Microsoft.Extensions.Logging;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// The store that several replicas share in one DynamoDB table. All that is atomic is the conditional write of one item, so what must change
/// together lies in one item, or in an order in which the last write makes it count. Made and disposed by the service container.
/// </summary>
internal sealed partial class DynamoDbStore : IStore, IReplicaStore, IAuthStore, IVaultStore
{
    /// <summary>What this release writes. A release with a lower one refuses a table in which <c>worksFrom</c> is higher.</summary>
    private const int SchemaVersion = 1;

    private readonly DynamoTable _table;
    private readonly DynamoBodies _bodies;
    private readonly DynamoLanes _lanes = new();
    private readonly DynamoKnown _known = new();
    private readonly DynamoStamps _stamps;
    private readonly DynamoDbStoreOptions _options;
    private readonly TimeProvider _time;
    private bool _disposed;

    public DynamoDbStore(DynamoDbStoreOptions options, TimeProvider time, ILogger<DynamoDbStore> logger)
    {
        (_options, _time) = (options, time);
        _table = new DynamoTable(options, time, logger);
        _bodies = new DynamoBodies(_table);
        _stamps = new DynamoStamps(_table);
    }

    public bool IsRemote => true;

    public DateTimeOffset? AwaySince => _table.AwaySince;

    /// <summary>The way to the table, for the signals.</summary>
    public DynamoTable Table => _table;

    public async Task OpenAsync(CancellationToken cancel)
    {
        var mark = await _table.OpenAsync(cancel);
        if (mark is null)
        {
            var write = DynamoWrite.Put(DynamoKeys.Meta.With("version", Number(SchemaVersion)).With("worksFrom", Number(1)).With("made", Time(_time.GetUtcNow())));
            await _table.WriteAsync(write.WhenNotThere());
        }
        else if (mark.Number("worksFrom") > SchemaVersion)
        {
            throw new StoreException(
                $"{_table.Name} was written by a newer release (schema version {mark.Number("version")}, which works from {mark.Number("worksFrom")} on; this one knows {SchemaVersion}).");
        }
    }

    public async ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel)
    {
        if (await HeadAsync(sessionId, cancel) is not { } head || await _bodies.ReadAsync(head, SessionItems.Init, cancel) is not { } init)
        {
            return null;
        }

        return SessionItems.Read(head, init);
    }

    public Task SaveSessionAsync(SessionRecord session) => _lanes.RunAsync(session.Id, async () =>
    {
        var write = await SessionItems.ChangeAsync(_bodies, session);
        write.Set("issuer", Text(session.Issuer)).Set("subject", Text(session.Subject)).Set("server", TextOrNull(session.Server))
            .Set("transport", Text(session.Transport)).Set("created", Time(session.Created)).Set("seen", Time(session.LastSeen));
        write.SetRaw($"{write.N("rev")} = if_not_exists({write.N("rev")}, {write.V(Number(-1))}) + {write.V(Number(1))}");
        write.SetRaw($"{write.N("inc")} = if_not_exists({write.N("inc")}, {write.V(Text(NewToken()))})");
        foreach (var map in new[] { "heard", "pend", "homes" })
        {
            write.SetRaw($"{write.N(map)} = if_not_exists({write.N(map)}, {write.V(Map([]))})");
        }

        var (_, now) = await _table.ChangeAsync(write, ReturnValue.ALL_NEW);
        _known.Add(session.Id, now!.Text("inc"));
    });

    public Task<bool> UpdateSessionAsync(SessionRecord session) => _lanes.RunAsync(session.Id, async () =>
    {
        var write = (await SessionItems.ChangeAsync(_bodies, session)).Marked();
        write.Set("rev", Number(session.Revision + 1));
        return await _table.WriteAsync(write.When($"{write.N("rev")} = {write.V(Number(session.Revision))}"));
    });

    public Task SetListenerAsync(string sessionId, SessionListener listener) => _lanes.RunAsync(
        sessionId, () => _table.WriteAsync(new DynamoWrite(DynamoKeys.Session(sessionId)).Set("listener", Text(listener.ToString())).WhenThere()));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) =>
        Task.WhenAll(sessions.Select(one => _lanes.RunAsync(one.SessionId, () =>
        {
            var write = new DynamoWrite(DynamoKeys.Session(one.SessionId)).Set("seen", Time(one.Seen)).WhenThere();
            return _table.WriteAsync(write.When($"{write.N("seen")} < {write.V(Time(one.Seen))}"));
        })));

    public Task DeleteSessionAsync(string sessionId) => _lanes.RunAsync(sessionId, () => RemoveAsync(sessionId, before: null));

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) => _lanes.RunAsync(sessionId, () => RemoveAsync(sessionId, before));

    public async Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel)
    {
        var found = await _table.QueryAllAsync(
            DynamoKeys.All("S").Select(partition =>
            {
                var query = new DynamoQuery(partition).Only(DynamoKeys.Sort, "seen").Loosely();
                return query.Where($"{query.N("seen")} < {query.V(Time(before))}");
            }),
            cancel);
        return [.. found.OrderBy(head => head.Number("seen")).Take(limit).Select(head => head.Text(DynamoKeys.Sort))];
    }

    public async Task<int> CountSessionsAsync(CancellationToken cancel) =>
        (await Task.WhenAll(DynamoKeys.All("S").Select(partition => _table.CountAsync(new DynamoQuery(partition).Loosely(), cancel)))).Sum();

    /// <summary>Does what was asked for before, then lets the table go.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            await _lanes.CloseAsync();
            await _table.DisposeAsync();
        }
    }

    private Task<Dictionary<string, AttributeValue>?> HeadAsync(string sessionId, CancellationToken cancel = default) =>
        _table.GetAsync(DynamoKeys.Session(sessionId), cancel);

    /// <summary>Null: there is no such session.</summary>
    private async Task<string?> IncarnationAsync(string sessionId, CancellationToken cancel = default)
    {
        if (_known.IncarnationOf(sessionId) is { } known)
        {
            return known;
        }

        if (await HeadAsync(sessionId, cancel) is not { } head)
        {
            return null;
        }

        _known.Add(sessionId, head.Text("inc"));
        return head.Text("inc");
    }

    /// <summary>
    /// Notes what is to go, takes the session's own item away (then all of it is gone for everybody), and clears up. Whoever sweeps later finishes
    /// what a process that died left of that.
    /// </summary>
    private async Task<bool> RemoveAsync(string sessionId, DateTimeOffset? before)
    {
        _known.Forget(sessionId);
        if (await HeadAsync(sessionId) is not { } head)
        {
            return true;
        }

        if (before is { } border && head.Time("seen") >= border)
        {
            return false;
        }

        var incarnation = head.Text("inc");
        await _table.WriteAsync(DynamoWrite.Put(DynamoKeys.Key(DynamoKeys.GonePartition, incarnation).With("at", Time(_table.Now)).With("session", Text(sessionId))));
        var delete = new DynamoWrite(DynamoKeys.Session(sessionId));
        delete.When($"{delete.N("inc")} = {delete.V(Text(incarnation))}");
        if (before is { } limit)
        {
            delete.When($"{delete.N("seen")} < {delete.V(Time(limit))}");
        }

        if (!(await _table.DeleteAsync(delete)).Done && await HeadAsync(sessionId) is { } still && still.Text("inc") == incarnation)
        {
            await _table.DeleteAsync(DynamoKeys.Key(DynamoKeys.GonePartition, incarnation));
            return false;
        }

        await _bodies.DropAsync([head], SessionItems.Init);
        await ClearAsync(incarnation);
        return true;
    }

    /// <summary>Deletes what belonged to a session that is gone.</summary>
    private async Task ClearAsync(string incarnation)
    {
        var query = new DynamoQuery(DynamoKeys.Children(incarnation)).Only(
            [DynamoKeys.Partition, DynamoKeys.Sort, "replica", "stream", "ids", .. AttributesOf(EventItems.Body, LinkItems.Init, LinkItems.Lists)]);
        var children = await _table.QueryAsync(query, CancellationToken.None);
        await _bodies.DropAsync(children, EventItems.Body, LinkItems.Init, LinkItems.Lists);
        await _table.DeleteAllAsync(children.Where(child => child.ContainsKey("ids"))
            .Select(child => DynamoKeys.Running(child.Text("replica"), incarnation, child.Text("stream"))));
        await _table.DeleteAllAsync(children.Select(DynamoKeys.Of));
        await _table.DeleteAsync(DynamoKeys.Key(DynamoKeys.GonePartition, incarnation));
    }

    /// <summary>Where the chunks of bodies are named; the bodies themselves are of no interest.</summary>
    private static string[] AttributesOf(params ReadOnlySpan<string> names)
    {
        var all = new List<string>();
        foreach (var name in names)
        {
            all.AddRange(DynamoBodies.AttributesOf(name)[1..]);
        }

        return [.. all];
    }
}
