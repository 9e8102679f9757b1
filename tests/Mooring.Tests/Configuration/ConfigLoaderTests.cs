using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class ConfigLoaderTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Load_NoFile_ServesTheDocsOfTheWorkingDirectory()
    {
        var docs = Directory.CreateDirectory(Path.Combine(_fixture.Folder, "docs")).FullName;

        var result = _fixture.Load();

        Assert.Empty(result.Problems);
        var connector = Assert.Single(result.Config!.Connectors);
        Assert.Equal("docs", connector.Name);
        Assert.Equal(docs, (string?)connector.Settings["path"]);
        Assert.Equal(["http://127.0.0.1:3000"], result.Config.Listen);
        Assert.Null(result.File);
    }

    [Fact]
    public void Load_NoFileButHome_ServesTheDocsOfTheCheckout()
    {
        var docs = Directory.CreateDirectory(Path.Combine(_fixture.Folder, "checkout", "docs")).FullName;
        _fixture.Environment["MOORING_HOME"] = Path.Combine(_fixture.Folder, "checkout");

        var result = _fixture.Load();

        Assert.Equal(docs, (string?)Assert.Single(result.Config!.Connectors).Settings["path"]);
        Assert.Equal(Path.Combine(_fixture.Folder, "checkout", ".mooring"), result.DataDirectory);
    }

    [Fact]
    public void Load_NoFileAndNoDocs_WarnsAndServesNothing()
    {
        var result = _fixture.Load();

        Assert.Empty(result.Config!.Connectors);
        Assert.Contains("docs", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "mcpServers": {} }""")]
    [InlineData("""{ "connectors": {} }""")]
    public void Load_SectionWrittenEmpty_MeansEmpty(string json)
    {
        Directory.CreateDirectory(Path.Combine(_fixture.Folder, "docs"));

        var config = _fixture.LoadFine(json);

        Assert.Empty(config.Connectors);
        Assert.Empty(config.Servers);
    }

    [Fact]
    public void Load_CommentsAndTrailingCommas_AreFine()
    {
        var config = _fixture.LoadFine("""
            // the gateway
            {
              "keepAlive": { "interval": "10s", /* below the balancer */ "jitter": 0.1, },
              "limits": { "bodySize": "4MB", "streams": 7, "headerSize": 65536 },
            }
            """);

        Assert.Equal(TimeSpan.FromSeconds(10), config.KeepAlive.Interval);
        Assert.Equal(0.1, config.KeepAlive.Jitter);
        Assert.Equal(4 << 20, config.Limits.BodySize);
        Assert.Equal(7, config.Limits.Streams);
        Assert.Equal(65536, config.Limits.HeaderSize);
        Assert.Equal(new MooringConfig().Drain, config.Drain);
    }

    [Fact]
    public void Load_ManyMistakes_AreAllReportedWithPathAndLine()
    {
        var result = _fixture.Load("""
            {
              "listen": ["ftp://x", "http://0.0.0.0:3000"],
              "keepalive": { "interval": "15s" },
              "keepAlive": { "interval": "15", "jiter": 0.1 },
              "mcpServers": {
                "issues": { "url": "${ISSUES_URL}" },
                "none": {}
              },
              "limits": { "streams": 0 },
              "store": "sqlite",
            }
            """);

        Assert.Null(result.Config);
        Assert.Equal(
            [
                ("listen[0]", 2), ("listen[1]", 2), ("keepalive", 3), ("keepAlive.interval", 4), ("keepAlive.jiter", 4),
                ("mcpServers.issues.url", 6), ("mcpServers.none", 7), ("limits.streams", 9), ("store", 10),
            ],
            result.Errors.OrderBy(e => e.Line).ThenBy(e => e.Path, StringComparer.Ordinal)
                .Select(e => (e.Path, e.Line!.Value)).OrderBy(e => e.Value).ToArray());
    }

    [Theory]
    [InlineData("""{ "keepalive": {} }""", "keepalive", "is not a setting; did you mean \"keepAlive\"?")]
    [InlineData("""{ "drain": { "dealy": "1s" } }""", "drain.dealy", "is not a setting; did you mean \"delay\"?")]
    [InlineData("""{ "mcp_servers": {} }""", "mcp_servers", "is not a setting; did you mean \"mcpServers\"?")]
    [InlineData("""{ "wibble": 1 }""", "wibble", "is not a setting.")]
    [InlineData("""{ "keepAlive": { "interval": "1ms" } }""", "keepAlive.interval", "must be a duration from 10ms to 1h, such as 15s, 500ms or 1h30m, not \"1ms\".")]
    [InlineData("""{ "keepAlive": { "interval": 15 } }""", "keepAlive.interval", "must be a duration from 10ms to 1h, such as 15s, 500ms or 1h30m, not a number.")]
    [InlineData("""{ "keepAlive": [] }""", "keepAlive", "must be an object, not a list.")]
    [InlineData("""{ "limits": { "batch": 1.5 } }""", "limits.batch", "must be a whole number from 1 to 10,000, not \"1.5\".")]
    [InlineData("""{ "limits": { "bodySize": "1B" } }""", "limits.bodySize", "must be a size from 1kB to 1GB, such as 256kB or 4MB, not \"1B\".")]
    [InlineData("""{ "auth": { "allowAnonymous": "yes" } }""", "auth.allowAnonymous", "must be true or false, not \"yes\".")]
    [InlineData("""{ "publicUrl": "mcp.example.com" }""", "publicUrl", "must be an absolute http or https address.")]
    [InlineData("""{ "store": { "kind": "sqlit" } }""", "store.kind", "must be \"sqlite\" or \"postgres\" or \"dynamodb\" or \"memory\", not \"sqlit\"; did you mean \"sqlite\"?")]
    [InlineData("""{ "store": { "kind": "postgres" } }""", "store.connection", "is missing; store.kind postgres needs it, such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}.")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "Database=mooring" } }""", "store.connection", "names no Host.")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "Host=db;Pasword=hush" } }""", "store.connection", "must be a PostgreSQL connection such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}; \"Pasword\" is no word of it.")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "postgres://u:hush@db/mooring" } }""", "store.connection", "must be a PostgreSQL connection such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}.")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "Host=db", "listenConnection": "Host=db;Port=x;Password=hush" } }""", "store.listenConnection", "must be a PostgreSQL connection such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}.")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "Host=db", "maxConnections": 1 } }""", "store.maxConnections", "must be a whole number from 2 to 1,000, not \"1\".")]
    [InlineData("""{ "store": { "kind": "dynamodb", "table": "a table" } }""", "store.table", "must be a table's name, not \"a table\".")]
    [InlineData("""{ "store": { "kind": "dynamodb" }, "vault": { "seal": true } }""", "vault.keyFile", "is missing; replicas that share a store need one key. Make it once with openssl rand -base64 32, give the file to each replica, and name it here.")]
    [InlineData("""{ "auth": { "mode": "ldap" } }""", "auth.mode", "must be \"none\" or \"apiKey\" or \"jwt\" or \"oauth\", not \"ldap\".")]
    [InlineData("""{ "auth": { "mode": [] } }""", "auth.mode", "is an empty list; write \"none\".")]
    [InlineData("""{ "store": { "kind": "postgres", "connection": "Host=db" }, "vault": { "seal": true } }""", "vault.keyFile", "is missing; replicas that share a store need one key. Make it once with openssl rand -base64 32, give the file to each replica, and name it here.")]
    [InlineData("""{ "vault": { "kind": "azure" } }""", "vault.kind", "must be \"local\" or \"awsKms\", not \"azure\".")]
    [InlineData("""{ "vault": { "kind": "awsKms" } }""", "vault.kmsKey", "is missing; vault.kind awsKms needs the id, ARN or alias of a key.")]
    [InlineData("""{ "vault": { "kind": "awsKms", "kmsKey": "alias/m", "keyFile": "k" } }""", "vault", "has a key of its own beside kind awsKms; one of them wraps the data keys. Name the other one under oldKeyFiles or oldCertificates.")]
    [InlineData("""{ "vault": { "rotateAfter": "1s" } }""", "vault.rotateAfter", "must be a duration from 1m to 3650d, such as 15s, 500ms or 1h30m, not \"1s\".")]
    [InlineData("""{ "vault": { "keyFile": "k", "certificate": { "cert": "c", "key": "k" } } }""", "vault", "has both keyFile and certificate; one of them wraps the data keys. Name the other one under oldKeyFiles or oldCertificates.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "auth": {} } } }""", "mcpServers.a.auth.provider", "is missing; kind provider needs the name of one.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "auth": { "provider": "acme" } } } }""", "mcpServers.a.auth.provider", "names \"acme\", which is not in providers.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "auth": { "kind": "oauth", "provider": "acme" } } }, "providers": { "acme": { "authorizeUrl": "https://x.test", "tokenUrl": "https://x.test", "clientId": "c" } } }""", "mcpServers.a.auth.provider", "has no place beside kind oauth.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "scope": "shared", "auth": { "kind": "oauth" } } } }""", "mcpServers.a.auth", "needs scope session: a connection that everybody shares is nobody's.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "headers": { "authorization": "x" }, "auth": { "kind": "oauth" } } } }""", "mcpServers.a.auth", "has no place beside an Authorization header.")]
    [InlineData("""{ "providers": { "acme": { "tokenUrl": "https://x.test", "clientId": "c" } }, "connectors": {} }""", "providers.acme.authorizeUrl", "is missing.")]
    [InlineData("""{ "providers": { "acme": { "authorizeUrl": "https://x.test", "tokenUrl": "https://x.test", "clientId": "c", "redirectUri": "https://x.test/auth/callback" } }, "connectors": {} }""", "providers.acme.redirectUri", "must end in one of /auth/hubspot/callback, /auth/slack/callback, /oauth/hubspot-callback, /connect/acme/callback.")]
    [InlineData("""{ "providers": { "a b": {} }, "connectors": {} }""", "providers[\"a b\"]", "must be a name of letters, digits, - and _.")]
    [InlineData("""{ "mcpServers": { "a": { "url": "http://a.test", "auth": { "kind": "oauth" } } }, "providers": { "a": { "authorizeUrl": "https://x.test", "tokenUrl": "https://x.test", "clientId": "c" } } }""", "providers.a", "is the name of a server with auth too; /connect/NAME must mean one thing.")]
    [InlineData("""{ "cache": { "maxStale": "2h" } }""", "cache.maxStale", "must be a duration from 0 to 1h, such as 15s, 500ms or 1h30m, not \"2h\".")]
    [InlineData("""{ "http": { "peerTimeout": "1s" } }""", "http.peerTimeout", "must be a duration from 2s to 1h, such as 15s, 500ms or 1h30m, not \"1s\".")]
    [InlineData("""{ "connectors": { "google": {} } }""", "connectors.google", "is not available in this version (the google connector).")]
    [InlineData("""{ "connectors": { "docs": { "path": ".", "prefix": "alway" } } }""", "connectors.docs.prefix", "must be \"always\" or \"never\" or \"default\", not \"alway\"; did you mean \"always\"?")]
    [InlineData("""{ "origins": ["https://*evil.example.com"] }""", "origins[0]", "must be an origin such as https://app.example.com, https://*.example.com or http://localhost:*, not \"https://*evil.example.com\".")]
    [InlineData("""{ "origins": ["example.com"] }""", "origins[0]", "must be an origin such as https://app.example.com, https://*.example.com or http://localhost:*, not \"example.com\".")]
    [InlineData("""{ "origins": ["*"] }""", "origins[0]", "must be an origin such as https://app.example.com, https://*.example.com or http://localhost:*, not \"*\".")]
    [InlineData("""{ "origins": ["null"] }""", "origins[0]", "must be an origin such as https://app.example.com, https://*.example.com or http://localhost:*, not \"null\".")]
    [InlineData("""{ "origins": ["https://a.*.example.com"] }""", "origins[0]", "must be an origin such as https://app.example.com, https://*.example.com or http://localhost:*, not \"https://a.*.example.com\".")]
    [InlineData("""{ "hosts": ["*"] }""", "hosts[0]", "must be a host name, with a port or without, such as mcp.example.com, not \"*\".")]
    [InlineData("""{ "hosts": ["https://example.com"] }""", "hosts[0]", "must be a host name, with a port or without, such as mcp.example.com, not \"https://example.com\".")]
    [InlineData("""{ "trustedProxies": ["10.0.0.0/99"] }""", "trustedProxies[0]", "must be an IP address or network such as 10.0.0.0/8, not \"10.0.0.0/99\".")]
    [InlineData("""{ "listen": [] }""", "listen", "is empty; the gateway needs an address to listen on.")]
    [InlineData("""{ "listen": ["http://127.0.0.1:3000", "http://127.0.0.1:3000/"] }""", "listen[1]", "is listed twice.")]
    [InlineData("""{ "listen": ["https://127.0.0.1:3000"] }""", "listen[0]", "is an https address but \"tls\" is not set; give it \"cert\" and \"key\".")]
    [InlineData("""{ "logLevel": "loud", "mcpServers": {} }""", "logLevel", "must be \"trace\" or \"debug\" or \"information\" or \"warning\" or \"error\" or \"critical\", not \"loud\".")]
    [InlineData("""{ "drain": { "delay": "1s", "delay": "2s" } }""", "drain.delay", "is written twice, first on line 1.")]
    public void Load_OneMistake_SaysWhereAndWhat(string json, string path, string message)
    {
        var problem = _fixture.LoadWrong(json);

        Assert.Equal((path, message, 1), (problem.Path, problem.Message, problem.Line));
    }

    [Fact]
    public void Load_BrokenJson_SaysTheLine()
    {
        var problem = _fixture.LoadWrong("{\n  \"drain\": {\n    \"delay\" \"1s\"\n  }\n}");

        Assert.Equal(("", 3), (problem.Path, problem.Line));
        Assert.StartsWith($"{_fixture.ConfigFile} is not valid JSON: ", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("BytePositionInLine", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_InvalidUtf8_IsAnError()
    {
        File.WriteAllBytes(_fixture.ConfigFile, [.. "{ \"publicUrl\": \""u8, 0xFF, .. "\" }"u8]);

        var result = _fixture.Load();

        Assert.Null(result.Config);
        Assert.Contains("not valid", Assert.Single(result.Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NestedTooDeep_IsAnError()
    {
        var deep = string.Concat(Enumerable.Repeat("""{"a":""", 200)) + "1" + new string('}', 200);

        Assert.Contains("depth", _fixture.LoadWrong(deep).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NamedFileIsMissing_IsAnError()
    {
        var result = ConfigLoader.Load("nowhere.json", _fixture.Environment, new() { WorkingDirectory = _fixture.Folder });

        Assert.Null(result.Config);
        Assert.Equal($"{Path.Combine(_fixture.Folder, "nowhere.json")} does not exist.", Assert.Single(result.Errors).Message);
    }

    [Fact]
    public void Load_FileNamedByVariable_IsRead()
    {
        _fixture.Environment["MOORING_CONFIG"] = _fixture.Write("etc/other.json", """{ "drain": { "delay": "1s" }, "connectors": {} }""");

        Assert.Equal(TimeSpan.FromSeconds(1), _fixture.Load().Config!.Drain.Delay);
    }

    [Theory]
    [InlineData("http://0.0.0.0:3000")]
    [InlineData("http://*:3000")]
    [InlineData("http://192.0.2.7:3000")]
    [InlineData("http://[::]:3000")]
    public void Load_OpenAddressWithoutAuth_IsRefusedAndNamesTheSetting(string address)
    {
        var problem = _fixture.LoadWrong($$"""{ "listen": "{{address}}", "connectors": {} }""");

        Assert.Equal("listen[0]", problem.Path);
        Assert.Contains("auth.allowAnonymous", problem.Message, StringComparison.Ordinal);

        Assert.Equal([address], _fixture.LoadFine(
            $$"""{ "listen": "{{address}}", "auth": { "allowAnonymous": true }, "connectors": {} }""").Listen);
    }

    /// <summary>A proxy on the same machine may let in the whole world.</summary>
    [Theory]
    [InlineData("publicUrl", "\"https://mcp.example.com\"")]
    [InlineData("publicUrl", "\"http://10.0.0.7:3000\"")]
    [InlineData("trustedProxies", "[\"127.0.0.1\"]")]
    public void Load_ProxyWithoutAuth_IsWarnedOfUnlessTheConfigurationSaysSo(string setting, string value)
    {
        var problem = Assert.Single(_fixture.Load($$"""{ "{{setting}}": {{value}}, "connectors": {} }""").Warnings, warning => warning.Path == setting);

        Assert.Contains("auth.allowAnonymous", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_fixture.Load($$"""{ "{{setting}}": {{value}}, "auth": { "allowAnonymous": true }, "connectors": {} }""").Warnings, warning => warning.Path == setting);
        Assert.DoesNotContain(_fixture.Load($$"""{ "{{setting}}": {{value}}, "auth": { "mode": "apiKey" }, "connectors": {} }""").Warnings, warning => warning.Path == setting);
        Assert.DoesNotContain(_fixture.Load("""{ "publicUrl": "http://localhost:3000/gw", "connectors": {} }""").Warnings, warning => warning.Path == "publicUrl");
    }

    [Fact]
    public void Load_UrlsOnCommandLine_ReplaceTheFileAndKeepTheAuthRule()
    {
        var result = _fixture.Load(
            """{ "listen": ["http://127.0.0.1:1"], "connectors": {} }""", new() { Urls = ["http://0.0.0.0:80"] });

        Assert.Contains("auth.allowAnonymous", Assert.Single(result.Errors).Message, StringComparison.Ordinal);
        Assert.Equal("--urls", result.OriginOf("listen"));
    }

    [Fact]
    public void Load_Sources_NameFileVariableAndDefault()
    {
        _fixture.Environment["MOORING_drain__GRACE"] = "7s";
        var result = _fixture.Load("""{ "drain": { "delay": "1s" }, "connectors": {} }""");

        Assert.Equal(_fixture.ConfigFile, result.OriginOf("drain.delay"));
        Assert.Equal("MOORING_drain__GRACE", result.OriginOf("drain.grace"));
        Assert.Equal(ConfigSource.Default, result.OriginOf("keepAlive.interval"));
        Assert.Contains(result.Sources, s => s is { Path: "keepAlive.interval", Origin: ConfigSource.Default });
        Assert.Equal(result.Sources.Count, result.Sources.DistinctBy(s => s.Path).Count());
    }

    [Fact]
    public void Load_RelativePaths_CountFromTheFile()
    {
        var file = _fixture.Write("etc/mooring.json", """
            { "connectors": { "docs": { "path": "./pages" } }, "store": { "directory": "data" },
              "mcpServers": { "a": { "command": "x", "cwd": "../work" } } }
            """);

        var result = ConfigLoader.Load(file, _fixture.Environment, new() { WorkingDirectory = "/" });

        Assert.Equal(Path.Combine(_fixture.Folder, "etc", "pages"), (string?)result.Config!.Connectors[0].Settings["path"]);
        Assert.Equal(Path.Combine(_fixture.Folder, "etc", "data"), result.DataDirectory);
        Assert.Equal(Path.Combine(_fixture.Folder, "work"), result.Config.Servers[0].WorkingDirectory);
    }

    [Fact]
    public void Load_ConnectorSettingsWithReferencesAreWrong_WhatTheyWereReplacedByIsNotSaid()
    {
        _fixture.Environment["SECRET"] = "hunter2";
        _fixture.Environment["SIZE"] = "77MB";

        var result = _fixture.Load(
            """{ "connectors": { "docs": { "path": "${SECRET}", "include": ["*.md", "/${SECRET}"], "exclude": "../${SECRET}", "maxFileSize": "${SIZE}" } } }""",
            new ConfigLoadOptions { CheckConnector = Mooring.Connectors.ConnectorFactory.Validate });

        Assert.Equal(
            [
                ("connectors.docs.path", "the folder '${SECRET}' does not exist"),
                ("connectors.docs.include[1]", "'/${SECRET}' must be relative to the content folder, without '..'"),
                ("connectors.docs.exclude", "'../${SECRET}' must be relative to the content folder, without '..'"),
                ("connectors.docs.maxFileSize", "\"${SIZE}\" is outside 1kB to 4MB"),
            ],
            result.Errors.Select(e => (e.Path, e.Message)));
    }

    /// <summary>As the start screen says it, and where the command line puts it, there the store is.</summary>
    [Fact]
    public void Load_DataDirectoryNamedTwice_TheStoreIsInTheStrongerOne()
    {
        var named = Path.Combine(_fixture.Folder, "named");

        var result = _fixture.Load("""{ "store": { "directory": "written" }, "connectors": {} }""", new ConfigLoadOptions { DataDirectory = named });

        Assert.Equal((named, named), (result.DataDirectory, result.Config!.Store.Directory));
        Assert.Equal(Path.Combine(_fixture.Folder, "written"), _fixture.Load().Config!.Store.Directory);
        Assert.Empty(result.Notes);
    }

    [Fact]
    public void Load_DataDirectoryNamedTwice_AndTheStoreIsInTheWeakerOne_IsNoted()
    {
        Directory.CreateDirectory(Path.Combine(_fixture.Folder, "written"));
        File.WriteAllText(Path.Combine(_fixture.Folder, "written", "mooring.db"), "");

        var result = _fixture.Load("""{ "store": { "directory": "written" }, "connectors": {} }""", new ConfigLoadOptions { DataDirectory = Path.Combine(_fixture.Folder, "named") });

        Assert.Contains("which has no store yet", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_TwoNamesWithOneAddress_TheOneThatIsLeftOutIsNamed()
    {
        var result = _fixture.Load("""
            { "connectors": {}, "mcpServers": {
                "My Server": { "url": "http://a.test" },
                "My-Server": { "url": "http://b.test" },
                "my server": { "url": "http://c.test", "disabled": true } } }
            """);

        var warning = Assert.Single(result.Warnings);
        Assert.Equal("mcpServers.My-Server is left out: \"My Server\" is called My-Server in addresses too (/servers/My-Server/mcp). Give one of both another name.", $"{warning.Path} {warning.Message}");
        Assert.Equal(3, warning.Line);
    }

    [Fact]
    public void Load_ConnectorCheckComplains_PathAndLineAreAdded()
    {
        var result = _fixture.Load("{\n\"connectors\": {\n\"docs\": {\n\"path\": \".\",\n\"include\": [1] } } }", new()
        {
            CheckConnector = (name, settings, _) => [$"include[0]: bad in {name}", $"has {settings.Count} settings"],
        });

        Assert.Equal(
            [("connectors.docs.include[0]", "bad in docs", 5), ("connectors.docs", "has 2 settings", 3)],
            result.Errors.Select(e => (e.Path, e.Message, e.Line!.Value)));
    }

    [Fact]
    public void Load_DataDirectory_CommandLineThenVariableThenFile()
    {
        const string Json = """{ "store": { "directory": "/from/file" }, "connectors": {} }""";
        Assert.Equal("/from/file", _fixture.Load(Json).DataDirectory);
        _fixture.Environment["MOORING_DATA"] = "/from/variable";
        Assert.Equal("/from/variable", _fixture.Load(Json).DataDirectory);
        Assert.Equal("/from/option", _fixture.Load(Json, new() { DataDirectory = "/from/option" }).DataDirectory);
    }
}
