using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Host.Cli;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary><c>mooring token</c>, on a real store.</summary>
public sealed class TokenCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-token-").FullName;

    private string ConfigFile => Path.Combine(_folder, "mooring.json");

    public TokenCommandTests() => File.WriteAllText(ConfigFile, """{ "auth": { "mode": "apiKey" }, "connectors": {} }""");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Create_PrintsTheKeyAloneAndOnce_AndTheStoreHasItsHash()
    {
        var (code, output, error) = await RunAsync("create --user ann --name laptop --scopes mcp,admin --expires 30d --groups a,b");

        Assert.Equal(ExitCodes.Fine, code);
        var key = Assert.Single(output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
        Assert.Matches("^mrk_[A-Za-z0-9_-]{43}$", key);
        Assert.DoesNotContain(key, error, StringComparison.Ordinal);
        var listed = JsonNode.Parse((await RunAsync("list --json")).Output)!.AsArray().Single()!;
        Assert.Equal(("ann", "laptop"), ((string?)listed["user"], (string?)listed["name"]));
        Assert.Equal(["mcp", "admin"], listed["scopes"]!.AsArray().Select(scope => (string?)scope));
        Assert.Equal(["a", "b"], listed["groups"]!.AsArray().Select(group => (string?)group));
        Assert.Equal(TimeSpan.FromDays(30), (DateTime)listed["expires"]! - (DateTime)listed["created"]!);
        Assert.All(Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories), file => Assert.DoesNotContain(key, File.ReadAllText(file, System.Text.Encoding.Latin1), StringComparison.Ordinal));
        Assert.StartsWith((string)listed["id"]!, Secret.KeyOf(key), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verbs_BesideARunningGateway_Work()
    {
        await using var gateway = new SqliteStore(new SqliteStoreOptions { Directory = Path.Combine(_folder, "data") }, TimeProvider.System, NullLogger<SqliteStore>.Instance);
        await gateway.OpenAsync(TestContext.Current.CancellationToken);

        var key = (await RunAsync("create --user ann")).Output.Trim();
        var row = await gateway.FindAuthAsync(AuthKind.ApiKey, Secret.KeyOf(key), TimeProvider.System.GetUtcNow(), TestContext.Current.CancellationToken);
        Assert.Equal(TimeSpan.FromDays(90), row!.Expires - row.Created);
        Assert.Equal(["mcp"], AuthJson.Read<KeyData>(row).Scopes);

        Assert.Equal(ExitCodes.Fine, (await RunAsync("revoke " + row.Key[..12])).Code);
        Assert.Null(await gateway.FindAuthAsync(AuthKind.ApiKey, row.Key, TimeProvider.System.GetUtcNow(), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task List_ShowsWhatWorks_AndRevokeOfWhatDoesNotIsNotFine()
    {
        await RunAsync("create --user ann --expires never");
        var (code, output, _) = await RunAsync("list");

        Assert.Equal(ExitCodes.Fine, code);
        Assert.Matches("^ID +USER +SCOPES +CREATED +EXPIRES +NAME", output);
        Assert.Matches("\n[0-9a-f]{12}  ann   mcp     [0-9: -]{16}  never", output);
        Assert.Equal(ExitCodes.NotFine, (await RunAsync("revoke 000000000000")).Code);
    }

    [Fact]
    public async Task People_WhatTheyHold_IsListedAndRevoked_OneByIdOrAllOfAPerson()
    {
        await RunAsync("create --user ann");
        await AddAsync(AuthKind.Grant, "0a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "17", Email: "eve@example.com"), "id of the client", "Ed\u001b[31mitor"));
        await AddAsync(AuthKind.Grant, "1a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "17", Email: "eve@example.com"), "id of another", null));
        await AddAsync(AuthKind.Browser, "2a1b2c3d4e5f0000", new BrowserData(new Person("https://id.example", "17")));
        await AddAsync(AuthKind.Browser, "3a1b2c3d4e5f0000", new BrowserData(new Person(Person.OfConfiguration, "ann")));

        var (code, output, _) = await RunAsync("list --all");
        Assert.Equal(ExitCodes.Fine, code);
        Assert.Matches("^ID +WHAT +PERSON +E-MAIL +CREATED +EXPIRES +NAME", output);
        Assert.Matches("\n0a1b2c3d4e5f  client   https://id.example#17  eve@example.com  [0-9: -]{16}  [0-9: -]{16}  Ed\\[31mitor", output);
        Assert.Equal(6, output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Single((await RunAsync("list")).Output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries).Skip(1));
        var json = JsonNode.Parse((await RunAsync("list --json --person eve@example.com")).Output)!.AsArray();
        Assert.Equal([("browser", null), ("client", "id of the client"), ("client", "id of another")], json.Select(one => ((string?)one!["what"], (string?)one["client"])));

        Assert.Equal(ExitCodes.Fine, (await RunAsync("revoke 0a1b2c3d4e5f")).Code);
        (code, output, _) = await RunAsync("revoke --person https://id.example#17");
        Assert.Equal((ExitCodes.Fine, 2), (code, output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries).Length));
        Assert.Equal(["browser", "key"], JsonNode.Parse((await RunAsync("list --json --all")).Output)!.AsArray().Select(one => (string?)one!["what"]));
        var (again, _, error) = await RunAsync("revoke --person eve@example.com");
        Assert.Equal(ExitCodes.NotFine, again);
        Assert.Contains("nobody who is called eve@example.com", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_WhatPeopleAllowedIt_IsRevokedByItsId()
    {
        await AddAsync(AuthKind.Grant, "0a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "17"), "mrc-1", "Editor"));
        await AddAsync(AuthKind.Grant, "1a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "18"), "mrc-1", "Editor"));
        await AddAsync(AuthKind.Grant, "2a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "17"), "mrc-2", "Editor"));

        var (code, output, _) = await RunAsync("revoke --client mrc-1");

        Assert.Equal((ExitCodes.Fine, 2), (code, output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries).Length));
        Assert.Equal(["mrc-2"], JsonNode.Parse((await RunAsync("list --json --all")).Output)!.AsArray().Select(one => (string?)one!["client"]));
        var (again, _, error) = await RunAsync("revoke --client mrc-1");
        Assert.Equal(ExitCodes.NotFine, again);
        Assert.Contains("nobody allowed a client mrc-1", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task People_AccountsTheyLinked_AreListedAndTakenAway_WithAllThatAPersonHolds_AndTheirProviderIsTold()
    {
        await using var provider = await HttpPlace.StartAsync();
        File.WriteAllText(ConfigFile, $$"""
            { "auth": { "mode": "apiKey" }, "connectors": {}, "providers": { "acme": { "authorizeUrl": "https://acme.test/authorize", "tokenUrl": "https://acme.test/token", "revokeUrl": "{{provider.Url}}revoke", "clientId": "gateway" } } }
            """);
        await AddAsync(AuthKind.Grant, "0a1b2c3d4e5f0000", new GrantData(new Person("https://id.example", "17", Email: "eve@example.com"), "client", null));
        await LinkAsync(new CredentialKey("https://id.example", "17", "acme"), "of eve");
        await LinkAsync(new CredentialKey("https://id.example", "17", "gone"), "of a provider that is not there any more");
        await LinkAsync(new CredentialKey(Person.OfApiKeys, "bob", "acme"), "of bob");
        // A registration of the gateway is nobody's account.
        await LinkAsync(new CredentialKey("", "mooring", "https://as.test https://gateway.test/connect/one/callback"), "registered");

        var (code, output, _) = await RunAsync("list --all");
        Assert.Equal(ExitCodes.Fine, code);
        Assert.Matches("\n[0-9a-f]{12}  account  https://id.example#17 +acme\r?\n", output);
        Assert.Equal(
            [("account", "17", "acme"), ("account", "17", "gone"), ("account", "bob", "acme"), ("client", "17", null)],
            JsonNode.Parse((await RunAsync("list --all --json")).Output)!.AsArray().Select(one => ((string?)one!["what"], (string?)one["user"], (string?)one["name"])).Order());

        (code, output, _) = await RunAsync("revoke --person eve@example.com");
        Assert.Equal(ExitCodes.Fine, code);
        Assert.Contains("The account of https://id.example#17 at acme is taken away; the provider was told.", output, StringComparison.Ordinal);
        Assert.Contains("at gone is taken away; the provider was not told: it is not in the configuration any more.", output, StringComparison.Ordinal);
        Assert.Contains("token=of+eve", Assert.Single(provider.Bodies), StringComparison.Ordinal);

        var left = Assert.Single(JsonNode.Parse((await RunAsync("list --all --json")).Output)!.AsArray())!;
        Assert.Equal("bob", (string?)left["user"]);
        (code, output, _) = await RunAsync($"revoke {(string?)left["id"]}");
        Assert.Equal(ExitCodes.Fine, code);
        Assert.Contains("The account of bob at acme is taken away", output, StringComparison.Ordinal);
        Assert.Equal("[]", (await RunAsync("list --all --json")).Output.Trim());
    }

    /// <summary>By whom alone accounts are known: nothing else of this person is left, or ever was.</summary>
    [Fact]
    public async Task People_OfAnotherIssuer_WhoHoldNothingElse_AreNamedInFull()
    {
        await LinkAsync(new CredentialKey("https://login.example", "ann", "acme"), "of ann");

        Assert.Equal(ExitCodes.NotFine, (await RunAsync("revoke --person ann")).Code);
        Assert.Equal(ExitCodes.Fine, (await RunAsync("revoke --person https://login.example#ann")).Code);

        Assert.Equal("[]", (await RunAsync("list --all --json")).Output.Trim());
    }

    [Fact]
    public async Task People_AccountsTheyLinked_KeyOfTheVaultIsGone_AreLeft_AndThatIsSaid()
    {
        await LinkAsync(new CredentialKey(Person.OfApiKeys, "bob", "acme"), "of bob");
        File.Delete(Path.Combine(_folder, "data", "vault.key"));

        var (code, _, error) = await RunAsync("revoke --person bob");

        Assert.Equal(ExitCodes.Usage, code);
        Assert.Contains("linked accounts were left as they are: The store has sealed rows, but the key file", error, StringComparison.Ordinal);
        Assert.Single(JsonNode.Parse((await RunAsync("list --all --json")).Output)!.AsArray());
    }

    /// <summary>As the gateway does it, which has made the vault's key by then.</summary>
    private async Task LinkAsync(CredentialKey key, string token)
    {
        var data = Path.Combine(_folder, "data");
        await using var store = new SqliteStore(new SqliteStoreOptions { Directory = data }, TimeProvider.System, NullLogger<SqliteStore>.Instance);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        var config = new ConfigStore(new MooringConfig(), data);
        using var wrappers = new KeyWrappers(config);
        using var keys = new KeyRing(store, wrappers, config, TimeProvider.System, NullLogger<KeyRing>.Instance);
        await keys.OpenAsync(TestContext.Current.CancellationToken);
        await new Credentials(keys, store).ReplaceAsync(key, new Credential { AccessToken = token, Received = TimeProvider.System.GetUtcNow() }, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("revoke")]
    [InlineData("revoke 000000000000 --person ann")]
    [InlineData("revoke 000000000000 --client c")]
    [InlineData("revoke --client c --person ann")]
    public async Task Revoke_OfNothingOrOfBoth_IsRefused(string arguments) => Assert.Equal(ExitCodes.Usage, (await RunAsync(arguments)).Code);

    [Theory]
    [InlineData("create --user ann --scopes root", "there is no scope \"root\"")]
    [InlineData("create --user ann --expires yesterday", "--expires must be")]
    [InlineData("create --user ann --expires 0s", "--expires must be")]
    [InlineData("create --user \"\"", "--user must be")]
    public async Task Create_WithSomethingWrong_SaysSo(string arguments, string message)
    {
        var (code, output, error) = await RunAsync(arguments);

        Assert.Equal((ExitCodes.Usage, ""), (code, output));
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    /// <summary>A directory that is mistyped holds no store; one that was made there would show nothing, and say that all is well.</summary>
    [Theory]
    [InlineData("list")]
    [InlineData("list --all --json")]
    [InlineData("revoke 000000000000")]
    [InlineData("revoke --person ann")]
    [InlineData("revoke --client mrc-1")]
    public async Task ListAndRevoke_WhereNoStoreIs_AreRefused_AndMakeNone(string arguments)
    {
        var data = Path.Combine(_folder, "data");

        var (code, output, error) = await RunAsync(arguments);

        Assert.Equal((ExitCodes.Usage, ""), (code, output));
        Assert.Contains($"there is no store in the data directory {data};", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(data));
        Directory.CreateDirectory(data);
        Assert.Equal(ExitCodes.Usage, (await RunAsync(arguments)).Code);
        Assert.Empty(Directory.EnumerateFileSystemEntries(data));
    }

    [Fact]
    public async Task Verbs_WithAStoreThatForgets_AreRefused()
    {
        await File.WriteAllTextAsync(ConfigFile, """{ "store": { "kind": "memory" }, "connectors": {} }""", TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Usage, (await RunAsync("create --user ann")).Code);
    }

    private async Task AddAsync<T>(AuthKind kind, string key, T data)
        where T : notnull
    {
        await using var store = new SqliteStore(new SqliteStoreOptions { Directory = Path.Combine(_folder, "data") }, TimeProvider.System, NullLogger<SqliteStore>.Instance);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        var now = TimeProvider.System.GetUtcNow();
        await store.AddAuthAsync(new AuthRecord { Kind = kind, Key = key, Data = AuthJson.Write(data), Created = now, Expires = now + TimeSpan.FromDays(1) });
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(string arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await CommandLine.Create().Parse($"token {arguments} --config {ConfigFile} --data {Path.Combine(_folder, "data")}")
            .InvokeAsync(new() { Output = output, Error = error }, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}

/// <summary>A web server that takes whatever comes, and keeps it.</summary>
file sealed class HttpPlace : IAsyncDisposable
{
    private readonly WebApplication _app;

    private HttpPlace(WebApplication app) => _app = app;

    public ConcurrentQueue<string> Bodies { get; } = new();

    public string Url => _app.Urls.First() + "/";

    public static async Task<HttpPlace> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRouting();
        var place = new HttpPlace(builder.Build());
        place._app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            place.Bodies.Enqueue(await reader.ReadToEndAsync());
        });
        await place._app.StartAsync();
        return place;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
