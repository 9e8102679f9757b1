using System.Net;
using System.Text.Json.Nodes;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The verbs and the older names of the table, on a DynamoDB protocol server.</summary>
public sealed class DynamoDbTests
{
    private static readonly TimeSpan VerbLimit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact(Timeout = 120_000)]
    public async Task Token_MadeBesideAGateway_LetsInUntilItIsRevoked()
    {
        await using var dynamo = await DynaliteServer.StartAsync();
        await using var server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["store"] = Store(dynamo, "tokens");
        config["auth"] = new JsonObject { ["mode"] = "apiKey" };
        await using var gateway = await GatewayProcess.StartAsync(config);
        await gateway.ReadyAsync();

        var key = (await VerbAsync(gateway, "token", "create", "--user", "ann")).Trim();
        var list = await VerbAsync(gateway, "token", "list");
        Assert.Contains("ann", list, StringComparison.Ordinal);

        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, await InitializeAsync(http, gateway, key));
        Assert.Equal(HttpStatusCode.Unauthorized, await InitializeAsync(http, gateway, key + "x"));

        var id = list.Split('\n').Single(line => line.Contains("ann", StringComparison.Ordinal)).Split(' ')[0];
        await VerbAsync(gateway, "token", "revoke", id);
        await Wait.UntilAsync(
            async () => await InitializeAsync(http, gateway, key) == HttpStatusCode.Unauthorized, () => gateway.Process.Describe("a revoked key still lets in"));
    }

    [Fact(Timeout = 120_000)]
    public async Task Token_BeforeAnyGatewayRan_MakesTheTableWhereItMay_ElseSaysWhatIsMissing()
    {
        await using var dynamo = await DynaliteServer.StartAsync();
        var folder = Directory.CreateTempSubdirectory("mooring-e2e-").FullName;
        try
        {
            var config = new JsonObject { ["store"] = Store(dynamo, "first", createTable: false) };
            var (code, _, errors) = await RunAsync(folder, config, ["token", "create", "--user", "ann"]);
            Assert.NotEqual(0, code);
            Assert.Contains("store.createTable: true", errors, StringComparison.Ordinal);

            config["store"] = Store(dynamo, "first");
            (code, var key, errors) = await RunAsync(folder, config, ["token", "create", "--user", "ann"]);
            Assert.True(code == 0, errors);
            Assert.NotEmpty(key.Trim());
            Assert.Contains("ann", (await RunAsync(folder, config, ["token", "list"])).Output, StringComparison.Ordinal);

            (code, var said, _) = await RunAsync(folder, config, ["check"]);
            Assert.Equal(0, code);
            Assert.Contains("is fine", said, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task OlderNameOfTheTable_OneOfTheEarlierLayout_SessionsAre503AndTheLogAndTheCheckSayWhy()
    {
        await using var dynamo = await DynaliteServer.StartAsync();
        await MakeOlderTableAsync(dynamo, "sessions");
        await using var server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["store"] = new JsonObject { ["endpoint"] = dynamo.Endpoint.AbsoluteUri };
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SESSIONS_TABLE"] = "sessions", ["AWS_REGION"] = "eu-central-1" };

        await using var gateway = await GatewayProcess.StartAsync(config, environment: environment);

        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await InitializeAsync(http, gateway, key: null));
        using (var ready = await http.GetAsync(new Uri(gateway.BaseUrl, "/ready"), Cancel))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        }

        // Also once it was tried again and again.
        await Wait.UntilAsync(
            () => (gateway.Process.Output + gateway.Process.Errors).Contains("one of an earlier deployment has others, so name a new table", StringComparison.Ordinal),
            () => gateway.Process.Describe("it does not say why"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await InitializeAsync(http, gateway, key: null));

        await using var check = ToolProcess.Start(await GatewayBinary.PathAsync(), ["check", "--config", gateway.ConfigFile], environment: environment);
        Assert.Equal(0, await check.ExitAsync(VerbLimit, Cancel));
        Assert.Contains("SESSIONS_TABLE", check.Errors, StringComparison.Ordinal);
        Assert.Contains("cannot be used: name a new one", check.Errors, StringComparison.Ordinal);
    }

    private static JsonObject Store(DynaliteServer dynamo, string table, bool createTable = true) => new()
    {
        ["kind"] = "dynamodb",
        ["endpoint"] = dynamo.Endpoint.AbsoluteUri,
        ["table"] = table,
        ["region"] = "eu-central-1",
        ["createTable"] = createTable,
    };

    /// <summary>As earlier deployments made it.</summary>
    private static async Task MakeOlderTableAsync(DynaliteServer dynamo, string name)
    {
        using var client = new AmazonDynamoDBClient(
            new BasicAWSCredentials("AKIDEXAMPLE", "of the tests"), new AmazonDynamoDBConfig { ServiceURL = dynamo.Endpoint.AbsoluteUri, AuthenticationRegion = "eu-central-1" });
        await client.CreateTableAsync(
            new CreateTableRequest
            {
                TableName = name,
                AttributeDefinitions = [new AttributeDefinition("sessionId", ScalarAttributeType.S)],
                KeySchema = [new KeySchemaElement("sessionId", KeyType.HASH)],
                BillingMode = BillingMode.PAY_PER_REQUEST,
            },
            Cancel);
        while ((await client.DescribeTableAsync(name, Cancel)).Table.TableStatus != TableStatus.ACTIVE)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
        }
    }

    private static async Task<HttpStatusCode> InitializeAsync(HttpClient http, GatewayProcess gateway, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, gateway.ServerUrl("up"))
        {
            Content = new StringContent("""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""", System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        }

        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        return response.StatusCode;
    }

    private static async Task<string> VerbAsync(GatewayProcess gateway, params string[] verb)
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), [.. verb, "--config", gateway.ConfigFile, "--data", gateway.DataFolder]);
        Assert.True(await tool.ExitAsync(VerbLimit, Cancel) == 0, tool.Describe($"{string.Join(' ', verb)} failed"));
        return tool.Output;
    }

    private static async Task<(int Code, string Output, string Errors)> RunAsync(string folder, JsonObject config, string[] verb)
    {
        var file = Path.Combine(folder, "mooring.json");
        await File.WriteAllTextAsync(file, config.ToJsonString(), Cancel);
        string[] data = verb[0] == "check" ? [] : ["--data", folder];
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), [.. verb, "--config", file, .. data]);
        return (await tool.ExitAsync(VerbLimit, Cancel), tool.Output, tool.Errors);
    }
}
