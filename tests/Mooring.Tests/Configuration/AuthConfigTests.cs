using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

/// <summary><c>auth</c>: what a person may write, and what they are told of what they should not.</summary>
public sealed class AuthConfigTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [InlineData("\"apiKey\"", AuthMode.ApiKey)]
    [InlineData("[\"apiKey\"]", AuthMode.ApiKey)]
    [InlineData("[\"APIKEY\", \"apiKey\"]", AuthMode.ApiKey)]
    [InlineData("\"none\"", AuthMode.None)]
    public void Mode_OneWordOrAList_IsRead(string json, AuthMode mode)
    {
        Assert.Equal([mode], _fixture.LoadFine($$"""{ "auth": { "mode": {{json}} }, "connectors": {} }""").Auth.Mode);
    }

    [Fact]
    public void Mode_FromAVariable_IsReadToo()
    {
        _fixture.Environment["MOORING_Auth__Mode"] = "apiKey,jwt";
        _fixture.Environment["MOORING_Auth__Jwt__0__Issuer"] = "https://login.example.com";
        _fixture.Environment["MOORING_Auth__Jwt__0__Audience"] = "api://a";

        var config = _fixture.LoadFine("""{ "connectors": {} }""");

        Assert.Equal([AuthMode.ApiKey, AuthMode.Jwt], config.Auth.Mode);
        Assert.Equal(["api://a"], config.Auth.Jwt.Single().Audience);
    }

    [Fact]
    public void Mode_OtherThanNone_MayListenOnAnyAddress()
    {
        _fixture.LoadFine("""{ "listen": "http://0.0.0.0:3000", "auth": { "mode": "apiKey" }, "connectors": {} }""");
    }

    [Theory]
    [InlineData("\"publicUrl\": \"https://mcp.example.com\"")]
    [InlineData("\"hosts\": \"mcp.example.com\"")]
    public void Jwt_OnAnyAddress_IsFineWhereTheGatewaysNameIsKnown(string name)
    {
        _fixture.LoadFine($$"""{ "listen": "http://0.0.0.0:3000", {{name}}, "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example", "audience": "a" }] }, "connectors": {} }""");
    }

    [Fact]
    public void OAuth_InFull_IsRead()
    {
        _fixture.Environment["SECRET"] = "s3cret";

        var auth = _fixture.LoadFine("""
            { "publicUrl": "https://mcp.example.com", "connectors": {}, "auth": { "mode": ["oauth", "jwt"], "adminUsers": "root@example.com", "adminGroups": ["ops"],
              "jwt": [{ "issuer": "https://login.example.com", "jwks": "https://login.example.com/keys", "algorithms": ["ES256"], "clockSkew": "1m", "requiredScope": "tools", "adminScope": "root", "groupsClaim": "roles" }],
              "oauth": { "accessToken": "15m", "refreshToken": "7d", "redirectSchemes": ["cursor"], "registration": false,
                "clients": { "c": { "name": "C", "redirectUris": "https://c.example/cb" } },
                "providers": {
                  "google": { "clientId": "g", "clientSecret": "${SECRET}", "domains": "example.com" },
                  "corp": { "issuer": "https://id.corp.example", "clientId": "m", "title": "Corp" },
                  "ghe": { "kind": "github", "issuer": "https://git.corp.example", "clientId": "h", "clientSecret": "x", "organizations": ["a"] } },
                "users": { "ada": { "password": "${SECRET}", "groups": ["ops"] } } } } }
            """).Auth;

        Assert.Equal([AuthMode.OAuth, AuthMode.Jwt], auth.Mode);
        Assert.Equal((TimeSpan.FromMinutes(15), TimeSpan.FromDays(7), false), (auth.OAuth.AccessToken, auth.OAuth.RefreshToken, auth.OAuth.Registration));
        Assert.Equal(("s3cret", "s3cret"), (auth.OAuth.Providers["google"].ClientSecret, auth.OAuth.Users["ada"].Password));
        Assert.Equal(["ES256"], auth.Jwt[0].Algorithms);
        Assert.Equal((SignInProviderKind.GitHub, "Corp"), (auth.OAuth.Providers["ghe"].Kind, auth.OAuth.Providers["corp"].Title));
        Assert.Equal("https://c.example/cb", auth.OAuth.Clients["c"].RedirectUris.Single());
    }

    [Theory]
    [InlineData("""{ "auth": { "mode": "jwt", "adminUsers": "boss@example.com", "jwt": [{ "issuer": "https://a.example", "audience": "a" }] } }""")]
    [InlineData("""{ "auth": { "mode": "jwt", "adminUsers": "https://a.example#boss@example.com", "jwt": [{ "issuer": "https://a.example", "audience": "a" }, { "issuer": "https://b.example", "audience": "a" }] } }""")]
    public void AdminUsers_OfOneIssuer_AreFine(string json) => Assert.Empty(_fixture.Load(json[..^1] + """, "connectors": {} }""").Warnings);

    [Theory]
    [InlineData("""{ "auth": { "mode": ["none", "apiKey"] } }""", "auth.mode")]
    [InlineData("""{ "auth": { "mode": "jwt" } }""", "auth.jwt")]
    [InlineData("""{ "auth": { "mode": "jwt", "jwt": [{ "audience": "a" }] } }""", "auth.jwt[0].issuer")]
    [InlineData("""{ "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example" }] } }""", "auth.jwt")]
    [InlineData("""{ "auth": { "mode": "jwt", "jwt": [{ "issuer": "http://a.example", "audience": "a" }] } }""", "auth.jwt[0].issuer")]
    [InlineData("""{ "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example", "audience": "a", "algorithms": ["HS256"] }] } }""", "auth.jwt[0].algorithms[0]")]
    [InlineData("""{ "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example", "audience": "a" }, { "issuer": "https://a.example", "audience": "b" }] } }""", "auth.jwt")]
    [InlineData("""{ "auth": { "mode": "oauth" } }""", "auth.oauth")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "users": { "ada": {} } } } }""", "auth.oauth.users.ada.password")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "corp": { "clientId": "a" } } } } }""", "auth.oauth.providers.corp.issuer")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "corp": { "issuer": "https://a.example" } } } } }""", "auth.oauth.providers.corp.clientId")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "google": { "clientId": "a" } } } } }""", "auth.oauth.providers.google.clientSecret")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "a/b": { } } } } }""", "auth.oauth.providers[\"a/b\"]")]
    [InlineData("""{ "listen": "http://0.0.0.0:1", "auth": { "mode": "oauth", "oauth": { "users": { "ada": { "password": "a" } } } } }""", "publicUrl")]
    [InlineData("""{ "listen": "http://0.0.0.0:1", "auth": { "mode": "jwt", "jwt": [{ "issuer": "https://a.example", "audience": "a" }] } }""", "publicUrl")]
    [InlineData("""{ "listen": ["http://127.0.0.1:1", "http://0.0.0.0:2"], "hosts": [], "auth": { "mode": ["apiKey", "jwt"], "jwt": [{ "issuer": "https://a.example", "audience": "a" }] } }""", "publicUrl")]
    public void Auth_ThatCannotWork_IsRefusedAtItsPlace(string json, string path)
    {
        Assert.Equal(path, _fixture.LoadWrong(json[..^1] + """, "connectors": {} }""").Path);
    }

    [Theory]
    [InlineData("""{ "auth": { "mode": "apiKey", "jwt": [{ "issuer": "https://a.example", "audience": "a" }] } }""", "auth.jwt")]
    [InlineData("""{ "auth": { "mode": "apiKey", "oauth": { "clients": { "c": { "redirectUris": ["https://c.example/"] } } } } }""", "auth.oauth")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "google": { "clientId": "a", "clientSecret": "b" } } } } }""", "auth.oauth.providers.google.domains")]
    [InlineData("""{ "auth": { "mode": "oauth", "oauth": { "providers": { "github": { "clientId": "a", "clientSecret": "b" } } } } }""", "auth.oauth.providers.github.organizations")]
    [InlineData("""{ "publicUrl": "http://mcp.example.com", "auth": { "mode": "oauth", "oauth": { "users": { "ada": { "password": "a" } } } } }""", "publicUrl")]
    [InlineData("""{ "auth": { "mode": "jwt", "adminUsers": "boss@example.com", "jwt": [{ "issuer": "https://a.example", "audience": "a" }, { "issuer": "https://b.example", "audience": "a" }] } }""", "auth.adminUsers")]
    public void Auth_ThatMayNotBeMeant_IsWarnedOf(string json, string path)
    {
        var result = _fixture.Load(json[..^1] + """, "connectors": {} }""");

        Assert.NotNull(result.Config);
        Assert.Equal(path, Assert.Single(result.Warnings).Path);
    }

    [Fact]
    public void Users_Changed_IsNoticedByAReload_AndTheModeNeedsARestart()
    {
        var before = _fixture.LoadFine("""{ "auth": { "mode": "oauth", "oauth": { "users": { "ada": { "password": "a" } } } }, "connectors": {} }""");
        var after = _fixture.LoadFine("""{ "auth": { "mode": ["oauth", "apiKey"], "oauth": { "users": { "ada": { "password": "b" } } } }, "connectors": {} }""");
        List<SettingChange> changes = [];

        var next = Settings.Root.Compare(before, after, "", changes);

        Assert.Equal([new SettingChange("auth.mode", true), new SettingChange("auth.oauth.users", false)], changes);
        Assert.Equal([AuthMode.OAuth], next.Auth.Mode);
        Assert.Equal("b", next.Auth.OAuth.Users["ada"].Password);
    }
}
