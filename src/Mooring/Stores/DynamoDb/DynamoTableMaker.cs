using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;

namespace Mooring.Stores.DynamoDb;

/// <summary>Makes the table, where the configuration asks for that: paid by request, with TTL. All that ever asks the control plane.</summary>
internal static class DynamoTableMaker
{
    /// <summary>Questions whether the table is there yet; more than a minute is a failure to be told of.</summary>
    private const int MostQuestions = 90;

    public static async Task MakeAsync(
        AmazonDynamoDBClient client, DynamoDbStoreOptions options, string name, TimeProvider time, Action<string> noTtl, CancellationToken cancel)
    {
        try
        {
            await client.CreateTableAsync(
                new CreateTableRequest
                {
                    TableName = options.Table,
                    BillingMode = BillingMode.PAY_PER_REQUEST,
                    KeySchema = [new(DynamoKeys.Partition, KeyType.HASH), new(DynamoKeys.Sort, KeyType.RANGE)],
                    AttributeDefinitions = [new(DynamoKeys.Partition, ScalarAttributeType.S), new(DynamoKeys.Sort, ScalarAttributeType.S)],
                },
                cancel);
        }
        catch (ResourceInUseException)
        {
            // Another replica makes it at this moment.
        }

        for (var asked = 0; ; asked++)
        {
            var about = await client.DescribeTableAsync(new DescribeTableRequest { TableName = options.Table }, cancel);
            if (about.Table.TableStatus == TableStatus.ACTIVE)
            {
                break;
            }

            if (asked == MostQuestions)
            {
                throw new StoreException($"{name} is being made, and is not there yet.");
            }

            await Task.Delay(options.CreateInterval, time, cancel);
        }

        try
        {
            await client.UpdateTimeToLiveAsync(
                new UpdateTimeToLiveRequest
                {
                    TableName = options.Table,
                    TimeToLiveSpecification = new TimeToLiveSpecification { AttributeName = DynamoKeys.Expires, Enabled = true },
                },
                cancel);
        }
        catch (AmazonServiceException e)
        {
            // What has expired is not served anyway; a table without TTL only grows.
            noTtl(DynamoFailure.Describe(e));
        }
    }
}
