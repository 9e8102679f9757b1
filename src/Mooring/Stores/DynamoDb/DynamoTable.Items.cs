using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;

namespace Mooring.Stores.DynamoDb;

/// <content>What is asked of items.</content>
internal sealed partial class DynamoTable
{
    /// <summary>As many keys as one request deletes.</summary>
    private const int DeletesPerRequest = 25;

    /// <summary>Reads what is committed, not what some copy of it has.</summary>
    public Task<Dictionary<string, AttributeValue>?> GetAsync(Dictionary<string, AttributeValue> key, CancellationToken cancel) => AskAsync(
        async (client, token) =>
        {
            var answer = await client.GetItemAsync(new GetItemRequest { TableName = TableName, Key = key, ConsistentRead = true }, token);
            return answer.Item is { Count: > 0 } found ? found : null;
        },
        cancel);

    /// <returns>Whether the condition held; also where an earlier try of this very write was done and its answer lost.</returns>
    public async Task<bool> WriteAsync(DynamoWrite write) => (await ChangeAsync(write, ReturnValue.NONE)).Done;

    /// <returns>Whether the condition held, and the item as it is after that.</returns>
    public Task<(bool Done, Dictionary<string, AttributeValue>? Item)> ChangeAsync(DynamoWrite write, ReturnValue returns) => AskAsync(
        async (client, token) =>
        {
            try
            {
                if (write.Whole is { } item)
                {
                    await client.PutItemAsync(
                        new PutItemRequest
                        {
                            TableName = TableName,
                            Item = item,
                            ConditionExpression = write.Condition,
                            ExpressionAttributeNames = NullIfEmpty(write.Names),
                            ExpressionAttributeValues = NullIfEmpty(write.Values),
                        },
                        token);
                    return (true, null);
                }

                var answer = await client.UpdateItemAsync(
                    new UpdateItemRequest
                    {
                        TableName = TableName,
                        Key = write.Key,
                        UpdateExpression = write.Expression,
                        ConditionExpression = write.Condition,
                        ExpressionAttributeNames = NullIfEmpty(write.Names),
                        ExpressionAttributeValues = NullIfEmpty(write.Values),
                        ReturnValues = returns,
                    },
                    token);
                return (true, (Dictionary<string, AttributeValue>?)answer.Attributes);
            }
            catch (ConditionalCheckFailedException)
            {
                if (write.Token is null)
                {
                    return (false, null);
                }

                // Asked every time: the connection may have sent it twice of its own accord.

                var now = await client.GetItemAsync(new GetItemRequest { TableName = TableName, Key = write.Key, ConsistentRead = true }, token);
                return now.Item?.TextOrNull(DynamoKeys.Token) == write.Token ? (true, now.Item) : (false, null);
            }
        },
        CancellationToken.None);

    /// <returns>What was there, if the condition held; and whether it held, or there was nothing.</returns>
    public Task<(bool Done, Dictionary<string, AttributeValue>? Before)> DeleteAsync(DynamoWrite write) => AskAsync(
        async (client, token) =>
        {
            try
            {
                var answer = await client.DeleteItemAsync(
                    new DeleteItemRequest
                    {
                        TableName = TableName,
                        Key = write.Key,
                        ConditionExpression = write.Condition,
                        ReturnValues = ReturnValue.ALL_OLD,
                        ExpressionAttributeNames = NullIfEmpty(write.Names),
                        ExpressionAttributeValues = NullIfEmpty(write.Values),
                    },
                    token);
                return (true, answer.Attributes is { Count: > 0 } before ? before : null);
            }
            catch (ConditionalCheckFailedException)
            {
                return (false, (Dictionary<string, AttributeValue>?)null);
            }
        },
        CancellationToken.None);

    public Task<(bool Done, Dictionary<string, AttributeValue>? Before)> DeleteAsync(Dictionary<string, AttributeValue> key) => DeleteAsync(new DynamoWrite(key));

    /// <summary>Deletes many, in no order.</summary>
    public async Task DeleteAllAsync(IEnumerable<Dictionary<string, AttributeValue>> keys)
    {
        foreach (var some in keys.Chunk(DeletesPerRequest))
        {
            var left = some.Select(key => new WriteRequest { DeleteRequest = new DeleteRequest { Key = key } }).ToList();
            while (left.Count > 0)
            {
                var now = left;
                left = await AskAsync(
                    async (client, token) =>
                    {
                        var answer = await client.BatchWriteItemAsync(
                            new BatchWriteItemRequest { RequestItems = new Dictionary<string, List<WriteRequest>>(StringComparer.Ordinal) { [TableName] = now } }, token);
                        var refused = answer.UnprocessedItems?.GetValueOrDefault(TableName) ?? [];
                        // All of them: too much at once. Some: the rest is asked for again.
                        return refused.Count == now.Count ? throw new ProvisionedThroughputExceededException("Nothing of a batch was done.") : refused;
                    },
                    CancellationToken.None);
            }
        }
    }

    /// <summary>What a query finds, page by page.</summary>
    public async Task<List<Dictionary<string, AttributeValue>>> QueryAsync(DynamoQuery query, CancellationToken cancel)
    {
        var all = new List<Dictionary<string, AttributeValue>>();
        Dictionary<string, AttributeValue>? from = null;
        do
        {
            var page = await PageAsync(query, from, Select.ALL_ATTRIBUTES, cancel);
            all.AddRange(page.Items ?? []);
            from = page.LastEvaluatedKey is { Count: > 0 } next ? next : null;
        }
        while (from is not null && all.Count < query.Limit);

        return all.Count > query.Limit ? all[..query.Limit] : all;
    }

    public async Task<int> CountAsync(DynamoQuery query, CancellationToken cancel)
    {
        var count = 0;
        Dictionary<string, AttributeValue>? from = null;
        do
        {
            var page = await PageAsync(query, from, Select.COUNT, cancel);
            count += page.Count ?? 0;
            from = page.LastEvaluatedKey is { Count: > 0 } next ? next : null;
        }
        while (from is not null);

        return count;
    }

    /// <summary>The same question to each of several partitions.</summary>
    public async Task<List<Dictionary<string, AttributeValue>>> QueryAllAsync(IEnumerable<DynamoQuery> queries, CancellationToken cancel) =>
        [.. (await Task.WhenAll(queries.Select(query => QueryAsync(query, cancel)))).SelectMany(found => found)];

    private Task<QueryResponse> PageAsync(DynamoQuery query, Dictionary<string, AttributeValue>? from, Select select, CancellationToken cancel) => AskAsync(
        (client, token) => client.QueryAsync(
            new QueryRequest
            {
                TableName = TableName,
                KeyConditionExpression = query.Keys,
                FilterExpression = query.Filters,
                ProjectionExpression = select == Select.COUNT ? null : query.Projection,
                ExpressionAttributeNames = query.Names,
                ExpressionAttributeValues = query.Values,
                ConsistentRead = query.IsConsistent,
                ScanIndexForward = !query.IsBackward,
                Select = select == Select.COUNT ? select : query.Projection is null ? null : Select.SPECIFIC_ATTRIBUTES,
                // Where a filter follows, a limit would count what it drops.
                Limit = query.Limit < int.MaxValue && query.Filters is null ? query.Limit : null,
                ExclusiveStartKey = from,
            },
            token),
        cancel);

    private static Dictionary<string, T>? NullIfEmpty<T>(Dictionary<string, T> all) => all.Count == 0 ? null : all;
}
