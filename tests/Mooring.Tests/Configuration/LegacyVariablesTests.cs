using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class LegacyVariablesTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    private ConfigResult Load(params (string Name, string Value)[] variables)
    {
        foreach (var (name, value) in variables)
        {
            _fixture.Environment[name] = value;
        }

        return _fixture.Load("""{ "connectors": {} }""");
    }

    [Theory]
    [InlineData("8080", null, "http://127.0.0.1:8080")]
    [InlineData(null, "localhost", "http://localhost:3000")]
    [InlineData("8080", "::1", "http://[::1]:8080")]
    public void PortAndHost_Alone_AreTheAddress(string? port, string? host, string address)
    {
        var result = Load([.. new[] { ("PORT", port), ("HOST", host) }.Where(v => v.Item2 is not null).Select(v => (v.Item1, v.Item2!))]);

        Assert.Equal([address], result.Config!.Listen);
        Assert.Contains("older name of \"listen\"; in use", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Host_Open_KeepsTheAuthRule() =>
        Assert.Contains("auth.allowAnonymous", Assert.Single(Load(("HOST", "0.0.0.0")).Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void Host_IsAMachineName_IsWarnedAboutAndIgnored()
    {
        var result = Load(("HOST", "x86_64-conda-linux-gnu"));

        Assert.Equal("HOST", Assert.Single(result.Warnings).Path);
        Assert.Equal(new MooringConfig().Listen, result.Config!.Listen);
    }

    [Theory]
    [InlineData("PORT", "http", "listen[0]", "PORT")]
    [InlineData("SSE_KEEPALIVE_INTERVAL", "soon", "keepAlive.interval", "SSE_KEEPALIVE_INTERVAL")]
    [InlineData("LOG_LEVEL", "chatty", "logLevel", "LOG_LEVEL")]
    [InlineData("ALLOWED_ORIGINS", "https://a.example.com,b", "origins[1]", "ALLOWED_ORIGINS")]
    [InlineData("MOORING_KeepAlive__Interval", "soon", "keepAlive.interval", "MOORING_KeepAlive__Interval")]
    public void Value_OfNoUse_IsAnErrorThatNamesTheVariable(string name, string value, string path, string origin)
    {
        var error = Assert.Single(Load((name, value)).Errors);

        Assert.Equal(path, error.Path);
        Assert.EndsWith($" It comes from {origin}.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PortAndHost_OfNoUse_AreBothNamed() =>
        Assert.EndsWith(" It comes from HOST and PORT.", Assert.Single(Load(("PORT", "http"), ("HOST", "127.0.0.1")).Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void Values_OfOlderDeployments_AreConverted()
    {
        var result = Load(
            ("SSE_KEEPALIVE_INTERVAL", "15000"), ("REQUEST_TIMEOUT", "300000"), ("LOG_LEVEL", "warn"),
            ("ALLOWED_ORIGINS", "https://a.example.com,https://b.example.com"), ("BASE_URL", "https://mcp.example.com"));

        var config = result.Config!;
        Assert.Equal(TimeSpan.FromSeconds(15), config.KeepAlive.Interval);
        Assert.Equal(TimeSpan.FromMinutes(5), config.Calls.Deadline);
        Assert.Equal("warning", config.LogLevel);
        Assert.Equal(["https://a.example.com", "https://b.example.com"], config.Origins);
        Assert.Equal("https://mcp.example.com/", config.PublicUrl!.AbsoluteUri);
        Assert.Equal(5, result.Notes.Count);
        Assert.Equal("SSE_KEEPALIVE_INTERVAL", result.OriginOf("keepAlive.interval"));
    }

    [Fact]
    public void Values_WrittenInTheFileToo_AreIgnoredWithANote()
    {
        _fixture.Environment["SSE_KEEPALIVE_INTERVAL"] = "5000";

        var result = _fixture.Load("""{ "keepAlive": { "interval": "20s" }, "connectors": {} }""");

        Assert.Equal(TimeSpan.FromSeconds(20), result.Config!.KeepAlive.Interval);
        Assert.Contains("ignored", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void SignInWithGoogle_WhereAuthIsOAuth_IsConfiguredByThem()
    {
        _fixture.Environment["GOOGLE_CLIENT_ID"] = "id.apps.example";
        _fixture.Environment["GOOGLE_CLIENT_SECRET"] = "hunter2";
        _fixture.Environment["GOOGLE_REDIRECT_URI"] = "https://mcp.example.com/auth/callback";
        _fixture.Environment["ALLOWED_DOMAIN"] = "a.example,b.example";

        var config = _fixture.LoadFine("""{ "publicUrl": "https://mcp.example.com", "auth": { "mode": ["apiKey", "oauth"] }, "connectors": {} }""");

        var google = config.Auth.OAuth.Providers["google"];
        Assert.Equal(("id.apps.example", "hunter2"), (google.ClientId, google.ClientSecret));
        Assert.Equal("https://mcp.example.com/auth/callback", google.RedirectUri!.AbsoluteUri);
        Assert.Equal(["a.example", "b.example"], google.Domains);
    }

    [Fact]
    public void Values_OfPartsNotBuilt_AreEachWarnedAboutWithoutTheirValue()
    {
        var result = Load(
            ("ALLOWED_DOMAIN", "hunter2"), ("GOOGLE_CLIENT_SECRET", "hunter2"), ("HUBSPOT_CLIENT_ID", "hunter2"), ("SLACK_CLIENT_ID", "hunter2"),
            ("SESSION_SECRET", "hunter2"), ("SERVICENOW_PASSWORD", "hunter2"));

        Assert.NotNull(result.Config);
        Assert.Equal(
            ["ALLOWED_DOMAIN", "GOOGLE_CLIENT_SECRET", "HUBSPOT_CLIENT_ID", "SERVICENOW_PASSWORD", "SESSION_SECRET", "SLACK_CLIENT_ID"],
            result.Warnings.Select(w => w.Path));
        Assert.All(result.Warnings, w => Assert.DoesNotContain("hunter2", w.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void KmsKey_IsTheVaultsUnlessItHasAnother()
    {
        var used = Load(("KMS_KEY_ARN", "arn:aws:kms:eu-central-1:1:key/k"));
        Assert.Equal((VaultKind.AwsKms, "arn:aws:kms:eu-central-1:1:key/k"), (used.Config!.Vault.Kind, used.Config.Vault.KmsKey));

        _fixture.Environment.Clear();
        _fixture.Environment["KMS_KEY_ID"] = "alias/other";
        var ignored = _fixture.Load("""{ "connectors": {}, "vault": { "kmsKey": "alias/mine", "kind": "awsKms" } }""");
        Assert.Equal("alias/mine", ignored.Config!.Vault.KmsKey);
        Assert.Contains("KMS_KEY_ID: older name of \"vault.kmsKey\"; ignored, \"vault\" is set.", ignored.Notes);
    }

    [Fact]
    public void Table_OfAnEarlierDeployment_IsTheStoresUnlessThatIsOfAnotherKind()
    {
        var used = Load(("DYNAMODB_TABLE_NAME", "second"), ("SESSIONS_TABLE", "first"), ("AWS_REGION", "eu-west-1"));
        var store = used.Config!.Store;
        Assert.Equal((StoreKind.DynamoDb, "first", "eu-west-1"), (store.Kind, store.Table, store.Region));
        Assert.Contains("SESSIONS_TABLE: older name of \"store.table\"; in use. Write MOORING_store__table or set it in the file.", used.Notes);
        Assert.Contains("DYNAMODB_TABLE_NAME: older name of \"store.table\"; ignored, SESSIONS_TABLE sets it.", used.Notes);
        Assert.Contains("AWS_REGION: older name of \"store.region\"; in use. Write MOORING_store__region or set it in the file.", used.Notes);

        Assert.Contains(used.Problems, problem => problem.Path == "SESSIONS_TABLE" && problem.Message.Contains("cannot be used: name a new one", StringComparison.Ordinal));

        var named = _fixture.Load("""{ "connectors": {}, "store": { "kind": "dynamodb", "table": "mine", "region": "us-east-2" } }""");
        Assert.DoesNotContain(named.Problems, problem => problem.Path == "SESSIONS_TABLE");
        Assert.Equal(("mine", "us-east-2"), (named.Config!.Store.Table, named.Config.Store.Region));

        var other = _fixture.Load("""{ "connectors": {}, "store": { "kind": "sqlite" } }""");
        Assert.Equal(StoreKind.Sqlite, other.Config!.Store.Kind);
        Assert.Contains("SESSIONS_TABLE: older name of \"store.table\"; ignored, \"store\" is of another kind.", other.Notes);
        Assert.DoesNotContain(other.Notes, note => note.StartsWith("AWS_REGION", StringComparison.Ordinal));
    }

    [Fact]
    public void Role_IsThatOfTheTableAndOfTheKey_AndTheSdksOwnBesideATokenFile()
    {
        const string role = "arn:aws:iam::111122223333:role/gateway";
        var both = Load(("AWS_ROLE_ARN", role), ("SESSIONS_TABLE", "first"), ("KMS_KEY_ID", "alias/k"));
        Assert.Equal((role, role), (both.Config!.Store.Role, both.Config.Vault.Role));
        Assert.Contains("AWS_ROLE_ARN: older name of \"store.role\"; in use. Write MOORING_store__role or set it in the file.", both.Notes);

        _fixture.Environment.Clear();
        var none = Load(("AWS_ROLE_ARN", role));
        Assert.Equal((null, null), (none.Config!.Store.Role, none.Config.Vault.Role));
        Assert.Contains(none.Problems, problem => problem.Path == "AWS_ROLE_ARN" && problem.Message.Contains("has no effect", StringComparison.Ordinal));

        // A role of a service account, which the SDK takes by itself.
        var account = Load(("AWS_ROLE_ARN", role), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"), ("SESSIONS_TABLE", "first"));
        Assert.Null(account.Config!.Store.Role);
        Assert.DoesNotContain(account.Problems, problem => problem.Path == "AWS_ROLE_ARN");
    }

    [Fact]
    public void Region_Alone_ChoosesNoStore()
    {
        // Set on every machine of that provider, whatever runs there.
        var used = Load(("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-1"));

        Assert.Equal((StoreKind.Sqlite, null), (used.Config!.Store.Kind, used.Config.Store.Region));
        Assert.DoesNotContain(used.Notes, note => note.StartsWith("AWS_", StringComparison.Ordinal));
        Assert.DoesNotContain(used.Problems, problem => problem.Path.StartsWith("AWS_", StringComparison.Ordinal));
    }
}
