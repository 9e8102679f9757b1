using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Stores.DynamoDb;
using Mooring.Tests;
using Npgsql;
using Xunit;

namespace Mooring.EndToEndTests.Secrets;

/// <summary>
/// The real program with a secret of its own kind in every input, on good ways, bad ones and failing ones, at the most verbose level; then every output is
/// searched for each of them. Where one may stand is said where it is planted: in the answer to whoever sent it or is to have it, and in what its own
/// server or provider hears. Everything else is a leak.
/// </summary>
public sealed partial class NowhereTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly Canaries _canaries = new();
    private readonly TempFolder _inputs = new();
    private LoudServer _loud = null!;
    private FaultyServer _quiet = null!;
    private GatewayProcess _gateway = null!;
    private Visitor _ann = null!;
    private Uri _tls = null!;

    public async ValueTask DisposeAsync()
    {
        _ann?.Dispose();
        await _gateway.DisposeAsync();
        await _quiet.DisposeAsync();
        await _loud.DisposeAsync();
        _inputs.Dispose();
    }

    [Fact]
    public async Task EmbeddedStore_WhatWasPlantedInEveryInput_StandsInNoOutput()
    {
        await StartAsync(new JsonObject { ["kind"] = "sqlite" });
        await DriveAsync();

        // As a crash leaves the files, with their logs, and as a good end does.
        _canaries.SawFiles("data, running:", _gateway.DataFolder);
        await _gateway.KillAsync();
        Keep("killed");
        _canaries.SawFiles("data, killed:", _gateway.DataFolder);
        await _gateway.RestartAsync(Environment());
        await _gateway.StopAsync();
        Keep("stopped");
        _canaries.SawFiles("data, stopped:", _gateway.DataFolder);

        Assert.All(["data, killed: mooring.db", "data, killed: mooring.db-wal", "data, killed: mooring.lock"], file => Assert.Contains(file, _canaries.Outputs));
        AssertNowhere();
    }

    [Fact]
    public async Task Postgres_WhatWasPlantedInEveryInput_StandsInNoRowAndNoOtherOutput()
    {
        await using var cluster = await PostgresCluster.StartAsync();
        var database = await cluster.NewDatabaseAsync();
        var password = _canaries.Plant("password of the database");
        await cluster.ExecuteAsync(database, $"create role keeper login superuser password '{password}'");
        await StartAsync(new JsonObject
        {
            ["kind"] = "postgres",
            ["connection"] = new NpgsqlConnectionStringBuilder(cluster.ConnectionTo(database)) { Username = "keeper", Password = password }.ConnectionString,
        });
        await DriveAsync();

        foreach (var table in await RowsAsync(cluster, database, "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"))
        {
            // Every column as text; bytes are in hex then.
            _canaries.Saw($"rows of {table}", string.Join('\n', await RowsAsync(cluster, database, $"select t::text from {table} t")));
        }

        Assert.True(_canaries.Outputs.Count(name => name.StartsWith("rows of ", StringComparison.Ordinal)) >= 5);
        await cluster.StopServerAsync();
        // While its database is away it has reason to speak of it.
        await _ann.GetAsync("the status, database away", "/ready");
        await _ann.GetAsync("a request, database away", "/mcp/status", _canaries.Plant("token, database away"));
        await cluster.StartServerAsync();
        await _gateway.StopAsync();
        Keep("stopped");
        _canaries.SawFiles("data:", Directory.CreateDirectory(_gateway.DataFolder).FullName);
        AssertNowhere();
    }

    [Fact]
    public async Task DynamoDb_WhatWasPlantedInEveryInput_StandsInNoItem_NoChunk_AndNoOtherOutput()
    {
        await using var dynamo = await DynaliteServer.StartAsync(keeps: true);
        // It asks nobody whose signature it is.
        _variables["AWS_SECRET_ACCESS_KEY"] = _canaries.Plant("secret key of the database");
        await StartAsync(new JsonObject { ["kind"] = "dynamodb", ["endpoint"] = dynamo.Endpoint.AbsoluteUri, ["table"] = "keeper", ["region"] = "eu-central-1", ["createTable"] = true });
        await DriveAsync();

        var items = await ItemsAsync(dynamo, "keeper");
        foreach (var (name, bytes) in items)
        {
            _canaries.Saw(name, bytes);
        }

        Assert.True(items.Count >= 20, $"Only {items.Count} items.");
        Assert.True(items.Where(item => item.Name.StartsWith("item B#", StringComparison.Ordinal)).Sum(item => item.Bytes.Length) > 500_000, "The large result is not in chunks.");
        await dynamo.KillAsync();
        // While its database is away it has reason to speak of it.
        await _ann.GetAsync("the status, database away", "/ready");
        await _ann.GetAsync("a request, database away", "/mcp/status", _canaries.Plant("token, database away"));
        await dynamo.StartAgainAsync();
        await _gateway.StopAsync();
        Keep("stopped");
        _canaries.SawFiles("data:", Directory.CreateDirectory(_gateway.DataFolder).FullName);
        AssertNowhere();
    }

    private void AssertNowhere()
    {
        Assert.True(_canaries.Count >= 35, $"Only {_canaries.Count} secrets were planted.");
        var leaks = _canaries.Leaks();
        Assert.True(leaks.Count == 0, $"{leaks.Count} leaks:\n{string.Join('\n', leaks)}");
    }

    /// <summary>What the process said so far: the start screen and the log.</summary>
    private void Keep(string when)
    {
        _canaries.Saw($"start screen, {when}", _gateway.Process.Output);
        _canaries.Saw($"log, {when}", _gateway.Process.Errors);
        var audit = File.ReadAllText(_inputs.File("audit.jsonl"));
        _canaries.Saw($"audit file, {when}", audit);
        Assert.All(["\"name\":\"echo\"", "\"name\":\"tell\"", "argumentsSha256", "sign_in", "token_refused"], noted => Assert.Contains(noted, audit, StringComparison.Ordinal));
        Assert.Contains("dbug: ", _gateway.Process.Errors, StringComparison.Ordinal);
    }

    private string _environment = "";

    /// <summary>Further ones.</summary>
    private readonly Dictionary<string, string> _variables = new(StringComparer.Ordinal);

    private Dictionary<string, string> Environment() => new(_variables, StringComparer.Ordinal) { ["CANARY_HEADER"] = _environment };

    private async Task StartAsync(JsonObject store)
    {
        _loud = await LoudServer.StartAsync();
        _quiet = await FaultyServer.StartAsync();
        _loud.Result = _canaries.Plant("result of a call", "answer to tell");
        _environment = _canaries.Plant("header of a server from ${ENV}", "heard at /mcp");
        await File.WriteAllTextAsync(_inputs.File("header"), _canaries.Plant("header of a server from ${file:}", "heard at /mcp"), TestContext.Current.CancellationToken);
        WriteKeys();

        var config = GatewayProcess.Config(
            ("loud", new JsonObject
            {
                ["url"] = $"{_loud.Base}/mcp?key={_canaries.Plant("key in the address of a server", "heard at /mcp")}",
                ["headers"] = new JsonObject
                {
                    ["Authorization"] = "Bearer " + _canaries.Plant("header of a server", "heard at /mcp"),
                    ["X-Env"] = "${CANARY_HEADER}",
                    ["X-File"] = $"${{file:{_inputs.File("header")}}}",
                },
            }),
            ("linked", new JsonObject { ["url"] = _loud.Base + "/linked", ["auth"] = new JsonObject { ["provider"] = "acme" } }),
            ("large", new JsonObject { ["url"] = _loud.Base + "/mcp", ["commit"] = "durable" }),
            ("quiet", new JsonObject { ["url"] = _quiet.Url.AbsoluteUri, ["commit"] = "durable" }),
            ("missing", new JsonObject
            {
                ["command"] = "/nowhere/at-all",
                ["args"] = new JsonArray(_canaries.Plant("argument of a program")),
                ["env"] = new JsonObject { ["TOKEN"] = _canaries.Plant("variable of a program") },
            }));
        config["logLevel"] = "trace";
        config["store"] = store;
        config["vault"] = new JsonObject { ["keyFile"] = _inputs.File("vault.key") };
        config["tls"] = new JsonObject { ["cert"] = _inputs.File("cert.pem"), ["key"] = _inputs.File("key.pem") };
        config["limits"] = new JsonObject { ["bodySize"] = "1MB" };
        // Arguments as a hash, which is the default: what people ask, get and are called at is in neither.
        config["audit"] = new JsonObject { ["file"] = _inputs.File("audit.jsonl"), ["log"] = true, ["begun"] = true };
        config["calls"] = new JsonObject { ["firstListWait"] = "2s" };
        config["providers"] = new JsonObject
        {
            ["acme"] = new JsonObject
            {
                ["authorizeUrl"] = _loud.Base + "/authorize",
                ["tokenUrl"] = _loud.Base + "/token",
                ["clientId"] = "gateway",
                ["clientSecret"] = _canaries.Plant("clientSecret of an account provider", "heard at /token"),
            },
        };
        config["auth"] = new JsonObject
        {
            ["mode"] = new JsonArray("oauth", "apiKey", "jwt"),
            ["jwt"] = new JsonArray(new JsonObject { ["issuer"] = _loud.Base, ["jwks"] = _loud.Base + "/jwks", ["audience"] = "gateway" }),
            ["oauth"] = new JsonObject
            {
                ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = _password, ["email"] = _canaries.Plant("e-mail of a local user", "data", "rows of", "item", "answer to", "mooring ") + "@example.com" } },
                ["providers"] = new JsonObject
                {
                    ["corp"] = Provider(_loud.Base, _canaries.Plant("clientSecret of a sign-in provider", "heard at /token")),
                    ["away"] = Provider("http://127.0.0.1:" + LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture), _canaries.Plant("clientSecret of a provider that is away")),
                },
            },
        };
        _tls = new Uri("https://127.0.0.1:" + LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture));
        _gateway = await GatewayProcess.StartAsync(config, environment: Environment(), alsoListen: _tls);
        await _gateway.ReadyAsync();
        _ann = new Visitor(_gateway.BaseUrl, _canaries);

        static JsonObject Provider(string issuer, string secret) => new() { ["issuer"] = issuer, ["clientId"] = "gateway", ["clientSecret"] = secret };
    }

    private void WriteKeys()
    {
        File.WriteAllText(_inputs.File("vault.key"), _canaries.Add("vault key", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))));
        using var rsa = RSA.Create(2048);
        var request = new CertificateRequest("CN=gateway", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var cert = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        var key = rsa.ExportPkcs8PrivateKeyPem();
        _canaries.Add("TLS key", key.Split('\n')[9].Trim());
        File.WriteAllText(_inputs.File("cert.pem"), cert.ExportCertificatePem());
        File.WriteAllText(_inputs.File("key.pem"), key);
    }

    private static async Task<List<string>> RowsAsync(PostgresCluster cluster, string database, string sql)
    {
        await using var connection = new NpgsqlConnection(cluster.ConnectionTo(database));
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var rows = new List<string>();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }

    /// <summary>All items of a table: each by its key, with all that it holds as it is.</summary>
    private static async Task<List<(string Name, byte[] Bytes)>> ItemsAsync(DynaliteServer dynamo, string table)
    {
        using var client = new AmazonDynamoDBClient(
            new BasicAWSCredentials("AKIDEXAMPLE", "of the tests"), new AmazonDynamoDBConfig { ServiceURL = dynamo.Endpoint.AbsoluteUri, AuthenticationRegion = "eu-central-1" });
        var items = new List<(string Name, byte[] Bytes)>();
        ScanResponse page;
        var request = new ScanRequest { TableName = table, ConsistentRead = true };
        do
        {
            page = await client.ScanAsync(request, TestContext.Current.CancellationToken);
            foreach (var item in page.Items)
            {
                using var whole = new MemoryStream();
                Write(new AttributeValue { M = item, IsMSet = true }, whole);
                items.Add(($"item {item[DynamoKeys.Partition].S} {item[DynamoKeys.Sort].S}", whole.ToArray()));
            }

            request.ExclusiveStartKey = page.LastEvaluatedKey;
        }
        while (page.LastEvaluatedKey is { Count: > 0 });
        return items;

        static void Write(AttributeValue value, MemoryStream whole)
        {
            foreach (var text in new[] { value.S, value.N }.Concat(value.SS ?? []).OfType<string>())
            {
                whole.Write(Encoding.UTF8.GetBytes(text + "\n"));
            }

            value.B?.CopyTo(whole);
            foreach (var part in value.L ?? [])
            {
                Write(part, whole);
            }

            foreach (var (name, part) in value.M ?? [])
            {
                whole.Write(Encoding.UTF8.GetBytes(name + "\n"));
                Write(part, whole);
            }
        }
    }

    private async Task<(int ExitCode, string Output)> VerbAsync(string what, params string[] arguments)
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), arguments, Environment());
        var exitCode = await tool.ExitAsync(Limit, TestContext.Current.CancellationToken);
        if (what.Length > 0)
        {
            _canaries.Saw($"mooring {what}", tool.Output + tool.Errors);
        }

        return (exitCode, tool.Output);
    }
}
