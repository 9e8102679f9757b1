using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The store's key in the AWS Key Management Service: the real program with the real AWS client, in front of a stand-in for the service.</summary>
public sealed class AwsKmsTests
{
    private const string Key = "arn:aws:kms:eu-central-1:111122223333:key/one";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly Dictionary<string, string> Credentials = new(StringComparer.Ordinal)
    {
        ["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE",
        ["AWS_SECRET_ACCESS_KEY"] = "example",
        ["AWS_EC2_METADATA_DISABLED"] = "true",
    };

    [Fact]
    public async Task Start_AsksOnceForItsDataKey_WithWhatItIsFor_AndGoesOnWithoutTheService()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        await using var gateway = await StartAsync(server, kms);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("one", await client.CallAsync("echo", "one"));

        Assert.Equal((1, Key), (kms.Asked("Encrypt"), (string?)kms.Last("Encrypt")["KeyId"]));
        Assert.Equal("""{"mooring:purpose":"data-key","mooring:number":"1"}""", kms.Last("Encrypt")["EncryptionContext"]!.ToJsonString());
        Assert.False(File.Exists(Path.Combine(gateway.DataFolder, "vault.key")));

        // What it has is in memory.
        kms.IsAway = true;
        using var another = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("two", await another.CallAsync("echo", "two"));
        await gateway.KillAsync();

        // A start does not wait for the service: it listens, and serves sessions when the service is back.
        await gateway.RestartAsync(Credentials);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(client));
        Assert.False(gateway.Process.HasExited);
        kms.IsAway = false;
        await gateway.ReadyAsync();
        Assert.Equal("three", await client.CallAsync("echo", "three"));
        Assert.Equal((1, "1"), (kms.Asked("Encrypt"), (string?)kms.Last("Decrypt")["EncryptionContext"]!["mooring:number"]));
    }

    [Fact]
    public async Task Start_ServiceLetsNobodyInYet_WaitsUntilItDoes()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        kms.Says = "AccessDeniedException";
        await using var gateway = await StartAsync(server, kms, isReady: false);
        await Wait.UntilAsync(() => gateway.Process.Errors.Contains("AccessDeniedException", StringComparison.Ordinal), () => gateway.Process.Describe("no word of why"));

        kms.Says = null;
        await gateway.ReadyAsync();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("in", await client.CallAsync("echo", "in"));
    }

    [Fact]
    public async Task Start_KeyDoesNotOpenWhatIsThere_EndsWithTheReason_AndMakesNoOther()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        await using var gateway = await StartAsync(server, kms);
        await gateway.StopAsync();
        kms.Forget();

        await using var tool = ToolProcess.Start(
            await GatewayBinary.PathAsync(), ["run", "--config", gateway.ConfigFile, "--urls", "http://127.0.0.1:0", "--data", gateway.DataFolder], Credentials);

        Assert.Equal(2, await tool.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Contains(Key, tool.Errors, StringComparison.Ordinal);
        Assert.Contains("vault.kmsKey", tool.Errors, StringComparison.Ordinal);
        Assert.Equal(1, kms.Asked("Encrypt"));
    }

    /// <summary>Whoever named a file goes to the service, and back to another file, without losing what is sealed.</summary>
    [Fact]
    public async Task Key_FromAFileToTheService_AndBackToAnotherFile_ReadsWhatIsSealed()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        using var keys = new TempFolder();
        foreach (var name in new[] { "first", "second" })
        {
            await File.WriteAllTextAsync(keys.File(name), Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)), TestContext.Current.CancellationToken);
        }

        JsonObject Service() => new() { ["kind"] = "awsKms", ["kmsKey"] = Key, ["kmsEndpoint"] = kms.Url.AbsoluteUri };
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["vault"] = new JsonObject { ["keyFile"] = keys.File("first") };
        await using var gateway = await GatewayProcess.StartAsync(config, environment: Credentials);
        await gateway.ReadyAsync();
        // What it said when it came is sealed, so the session goes on only where that opens.
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));

        // To the service, with the file beside it once, and then without.
        var both = Service();
        both["oldKeyFiles"] = new JsonArray(keys.File("first"));
        await RestartAsync(both);
        Assert.Equal("service", await client.CallAsync("echo", "service"));
        Assert.Equal((1, 0), (kms.Asked("Encrypt"), kms.Asked("Decrypt")));
        await RestartAsync(Service());
        Assert.Equal("alone", await client.CallAsync("echo", "alone"));
        Assert.Equal((1, 1), (kms.Asked("Encrypt"), kms.Asked("Decrypt")));

        // Back to a file, with the service's key beside it once, and then without the service.
        await RestartAsync(new JsonObject { ["keyFile"] = keys.File("second"), ["kmsKey"] = Key, ["kmsEndpoint"] = kms.Url.AbsoluteUri });
        Assert.Equal("back", await client.CallAsync("echo", "back"));
        Assert.Equal((1, 2), (kms.Asked("Encrypt"), kms.Asked("Decrypt")));
        kms.IsAway = true;
        await RestartAsync(new JsonObject { ["keyFile"] = keys.File("second") });
        Assert.Equal("without", await client.CallAsync("echo", "without"));
        Assert.Equal((1, 2), (kms.Asked("Encrypt"), kms.Asked("Decrypt")));

        async Task RestartAsync(JsonObject vault)
        {
            await gateway.StopAsync();
            config["vault"] = vault;
            await File.WriteAllTextAsync(gateway.ConfigFile, config.ToJsonString(), TestContext.Current.CancellationToken);
            await gateway.RestartAsync(Credentials);
            await gateway.ReadyAsync();
        }
    }

    /// <summary>The variable of earlier deployments: what the process has serves to assume the role alone.</summary>
    [Fact]
    public async Task Start_WithARole_AssumesItForTheKeyAndForTheTable()
    {
        const string role = "arn:aws:iam::111122223333:role/gateway";
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        await using var sts = await FakeSts.StartAsync();
        await using var dynamo = await DynaliteServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["vault"] = new JsonObject { ["kind"] = "awsKms", ["kmsKey"] = Key, ["kmsEndpoint"] = kms.Url.AbsoluteUri };
        config["store"] = new JsonObject { ["kind"] = "dynamodb", ["endpoint"] = dynamo.Endpoint.AbsoluteUri, ["region"] = "eu-central-1", ["createTable"] = true };
        var environment = new Dictionary<string, string>(Credentials, StringComparer.Ordinal) { ["AWS_ROLE_ARN"] = role, ["AWS_REGION"] = "eu-central-1", ["AWS_ENDPOINT_URL_STS"] = sts.Url.AbsoluteUri };

        await using var gateway = await GatewayProcess.StartAsync(config, environment: environment);
        await gateway.ReadyAsync();

        Assert.StartsWith($"AWS4-HMAC-SHA256 Credential={FakeSts.AccessKey}/", kms.Signed.Signature, StringComparison.Ordinal);
        Assert.Equal(FakeSts.SessionToken, kms.Signed.Token);
        // Once for the client of each service.
        Assert.Equal([role, role], sts.Roles);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("one", await client.CallAsync("echo", "one"));
    }

    /// <summary>A minute is the shortest life of a data key. Nobody else would say that it is over: rows are sealed with the one before all the while.</summary>
    [Fact]
    public async Task NextDataKey_ServiceRefusesIt_IsSaidOnce_AndMadeWhenItMayBe()
    {
        const string Refusal = "AccessDeniedException";
        await using var server = await FaultyServer.StartAsync();
        await using var kms = await FakeKms.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["vault"] = new JsonObject { ["kind"] = "awsKms", ["kmsKey"] = Key, ["kmsEndpoint"] = kms.Url.AbsoluteUri, ["rotateAfter"] = "1m" };
        await using var gateway = await GatewayProcess.StartAsync(config, environment: Credentials);
        await gateway.ReadyAsync();

        kms.Says = Refusal;
        await Task.Delay(TimeSpan.FromMinutes(1), TimeProvider.System, TestContext.Current.CancellationToken);
        await Wait.UntilAsync(() => kms.Asked("Encrypt") >= 2 && Lines("next data key cannot be made").Length > 0, () => gateway.Process.Describe("no word of it"));
        var asked = kms.Asked("Encrypt");
        await Wait.UntilAsync(() => kms.Asked("Encrypt") > asked, () => gateway.Process.Describe("it is not tried again"));
        Assert.Contains(Refusal, Assert.Single(Lines("next data key cannot be made")), StringComparison.Ordinal);
        // What is there goes on to seal.
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("one", await client.CallAsync("echo", "one"));

        kms.Says = null;
        await Wait.UntilAsync(() => Lines("next data key is there at last").Length == 1, () => gateway.Process.Describe("the next key is not there"));
        Assert.Equal("2", (string?)kms.Last("Encrypt")["EncryptionContext"]!["mooring:number"]);

        string[] Lines(string words) => [.. (gateway.Process.Output + gateway.Process.Errors).Split('\n').Where(line => line.Contains(words, StringComparison.Ordinal))];
    }

    private static async Task<GatewayProcess> StartAsync(FaultyServer server, FakeKms kms, bool isReady = true)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["vault"] = new JsonObject { ["kind"] = "awsKms", ["kmsKey"] = Key, ["kmsEndpoint"] = kms.Url.AbsoluteUri };
        var gateway = await GatewayProcess.StartAsync(config, environment: Credentials);
        if (isReady)
        {
            await gateway.ReadyAsync();
        }

        return gateway;
    }

    private static async Task<HttpStatusCode> StatusAsync(McpClient client)
    {
        using var response = await client.PostAsync(client.ToolCall("echo", "too early"));
        return response.StatusCode;
    }
}
