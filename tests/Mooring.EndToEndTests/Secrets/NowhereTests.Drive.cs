using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Secrets;

/// <content>The ways: each input once good, once bad, once with the other end failing.</content>
public sealed partial class NowhereTests
{
    private const string Callback = "http://127.0.0.1:7777/callback";

    private readonly string _password;

    public NowhereTests() => _password = _canaries.Plant("password of a local user");

    private async Task DriveAsync()
    {
        var key = await KeyAsync("ann");
        var access = await SignInAsync();
        await SignInElsewhereAsync();
        await TokensAsync(key);
        await CallsAsync(access);
        await OddRequestsAsync(access);
        await EchoesAsync(access);
        await AccountsAsync(access);
        await AccountOfAKeyAsync(key);
        await LooksAsync(await KeyAsync("root", "--scopes", "mcp,admin"));
        await VerbsAsync();

        // What was asked for really happened: a way that is refused at its beginning shows nothing.
        Assert.Contains("Bearer " + _loud.Takes, _loud.Heard("/linked"), StringComparison.Ordinal);
        Assert.Contains(_environment, _loud.Heard("/mcp"), StringComparison.Ordinal);
        foreach (var path in new[] { "/mcp", "/linked", "/token", "/jwks", "/.well-known" })
        {
            _canaries.Saw("heard at " + path, _loud.Heard(path));
        }
    }

    private async Task<string> KeyAsync(string user, params string[] more)
    {
        var made = await VerbAsync("", ["token", "create", "--user", user, .. more, "--config", _gateway.ConfigFile, "--data", _gateway.DataFolder]);
        Assert.StartsWith("mrk_", made.Output, StringComparison.Ordinal);
        return _canaries.Add("API key of " + user, made.Output.Trim());
    }

    /// <summary>From the registration of a client to an access token, with what goes wrong on the way.</summary>
    private async Task<string> SignInAsync()
    {
        var (state, verifier) = (_canaries.Plant("state of a client", "answer to sign-in, allowed"), _canaries.Plant("PKCE verifier") + _canaries.Plant("PKCE verifier, its rest"));
        var client = (string)(await _ann.PostAsync("registration", "/oauth/register", $$"""{"client_name":"t","redirect_uris":["{{Callback}}"],"token_endpoint_auth_method":"none"}""")).Message["client_id"]!;
        await _ann.PostAsync("registration, malformed", "/oauth/register", $$"""{"client_name":"{{_canaries.Plant("malformed registration")}}",""");

        async Task<string> CodeAsync(string name)
        {
            var begun = await _ann.GetAsync("sign-in, begun", $"/oauth/authorize?response_type=code&client_id={client}&redirect_uri={Uri.EscapeDataString(Callback)}&state={state}&code_challenge={Challenge(verifier)}&code_challenge_method=S256&scope=mcp");
            var request = _canaries.Add("request of a sign-in, " + name, begun.Query("request"), "answer to sign-in");
            var page = await _ann.GetAsync("sign-in, page", begun.Location!.PathAndQuery);
            if (page.Body.Contains("type=\"password\"", StringComparison.Ordinal))
            {
                await _ann.FormAsync("sign-in, wrong password", "/oauth/signin", ("request", request), ("user", "ann"), ("password", _canaries.Plant("wrong password")));
                await _ann.FormAsync("sign-in, unknown user", "/oauth/signin", ("request", request), ("user", _canaries.Plant("name that nobody has")), ("password", _canaries.Plant("password of nobody")));
                var right = await _ann.FormAsync("sign-in, right password", "/oauth/signin", ("request", request), ("user", "ann"), ("password", _password));
                request = _canaries.Add("request of a consent, " + name, right.Query("request"), "answer to sign-in");
                page = await _ann.GetAsync("sign-in, consent", right.Location!.PathAndQuery);
            }

            var allowed = await _ann.FormAsync("sign-in, allowed", "/oauth/consent", ("request", page.Field("request")), ("decision", "allow"));
            return _canaries.Add("authorization code, " + name, allowed.Query("code"), "answer to sign-in, allowed");
        }

        Task<Heard> TokenAsync(string what, params (string, string)[] fields) => _ann.FormAsync(what, "/oauth/token", [("client_id", client), .. fields]);
        var lost = await CodeAsync("lost");
        await TokenAsync("code, wrong verifier", ("grant_type", "authorization_code"), ("code", lost), ("redirect_uri", Callback), ("code_verifier", _canaries.Plant("wrong PKCE verifier") + verifier));
        await TokenAsync("code, unknown", ("grant_type", "authorization_code"), ("code", _canaries.Plant("unknown code")), ("redirect_uri", Callback), ("code_verifier", verifier));
        var good = (await TokenAsync("code, good", ("grant_type", "authorization_code"), ("code", await CodeAsync("good")), ("redirect_uri", Callback), ("code_verifier", verifier))).Message;
        _canaries.Add("access token", (string)good["access_token"]!, "answer to code, good");
        var refresh = _canaries.Add("refresh token", (string)good["refresh_token"]!, "answer to code, good");
        var next = (await TokenAsync("refresh", ("grant_type", "refresh_token"), ("refresh_token", refresh))).Message;
        _canaries.Add("second refresh token", (string)next["refresh_token"]!, "answer to refresh");
        await TokenAsync("refresh, unknown", ("grant_type", "refresh_token"), ("refresh_token", _canaries.Plant("unknown refresh token")));
        await _ann.PostAsync("revocation, malformed", "/oauth/revoke", $$"""{"token":"{{_canaries.Plant("token to revoke, malformed")}}""");

        // That of a consent of its own is used a second time, which takes away all that came of it.
        var other = (await TokenAsync("code, good, again", ("grant_type", "authorization_code"), ("code", await CodeAsync("again")), ("redirect_uri", Callback), ("code_verifier", verifier))).Message;
        _canaries.Add("revoked access token", (string)other["access_token"]!, "answer to code, good, again");
        var used = _canaries.Add("used refresh token", (string)other["refresh_token"]!, "answer to code, good, again");
        _canaries.Add("access token by refresh", (string)(await TokenAsync("refresh, first", ("grant_type", "refresh_token"), ("refresh_token", used))).Message["access_token"]!, "answer to refresh, first");
        await TokenAsync("twice", ("grant_type", "refresh_token"), ("refresh_token", used));
        return _canaries.Add("access token in use", (string)next["access_token"]!, "answer to refresh");
    }

    /// <summary>At providers: one that is away, one that says again what it is sent.</summary>
    private async Task SignInElsewhereAsync()
    {
        using var browser = new Visitor(_gateway.BaseUrl, _canaries);
        var client = (string)(await browser.PostAsync("registration elsewhere", "/oauth/register", $$"""{"client_name":"t","redirect_uris":["{{Callback}}"],"token_endpoint_auth_method":"none"}""")).Message["client_id"]!;
        var begun = await browser.GetAsync("elsewhere, begun", $"/oauth/authorize?response_type=code&client_id={client}&redirect_uri={Uri.EscapeDataString(Callback)}&code_challenge={new string('a', 43)}&code_challenge_method=S256");
        var request = _canaries.Add("request of a sign-in elsewhere", begun.Query("request"), "answer to elsewhere");
        await browser.GetAsync("elsewhere, page", begun.Location!.PathAndQuery);
        await browser.GetAsync("elsewhere, away", $"/oauth/signin/away?request={Uri.EscapeDataString(request)}");
        foreach (var end in new[] { "code", "error" })
        {
            var visit = await browser.GetAsync("elsewhere, visit", $"/oauth/signin/corp?request={Uri.EscapeDataString(request)}");
            var state = _canaries.Add($"state of a visit, {end}", visit.Query("state"), "answer to elsewhere, visit");
            await browser.GetAsync("elsewhere, back", $"/oauth/callback?{end}={_canaries.Plant($"{end} of a provider", "heard at /token")}&state={Uri.EscapeDataString(state)}");
        }

        await browser.GetAsync("elsewhere, unknown state", $"/oauth/callback?code={_canaries.Plant("code of no visit")}&state={_canaries.Plant("state of no visit")}");
    }

    /// <summary>Tokens of every kind, good and bad, in the header and where they do not belong.</summary>
    private async Task TokensAsync(string key)
    {
        var (claim, address) = (_canaries.Plant("claim of a signed token"), _canaries.Plant("e-mail of a signed token") + "@example.com");
        JsonObject Claims(string audience) => new() { ["iss"] = _loud.Base, ["sub"] = "ann", ["aud"] = audience, ["exp"] = 4102444800, ["note"] = claim, ["email"] = address, ["email_verified"] = true };
        var signed = _loud.Sign(Claims("gateway"));
        _canaries.Add("signature of a token", signed.Split('.')[2]);
        Assert.Equal(200, (await _ann.GetAsync("status, key", "/mcp/status", key)).Status);
        Assert.Equal(200, (await _ann.GetAsync("status, signed token", "/mcp/status", signed)).Status);
        foreach (var (what, token) in new[]
        {
            ("unknown key", "mrk_" + _canaries.Plant("unknown API key")), ("unknown token", "mra_" + _canaries.Plant("unknown access token")), ("any", _canaries.Plant("any bearer token")),
            ("for another", _loud.Sign(Claims("another"))), ("forged", signed[..^20] + _canaries.Plant("forged signature")), ("torn", "eyJ.eyJ." + _canaries.Plant("torn token")),
        })
        {
            foreach (var (method, path) in new[] { (HttpMethod.Get, "/mcp/status"), (HttpMethod.Post, "/mcp"), (HttpMethod.Get, "/servers/quiet/sse"), (HttpMethod.Delete, "/mcp"), (HttpMethod.Get, "/admin/api/drain") })
            {
                Assert.Equal(401, (await _ann.SendAsync($"{method} {path}, {what}", method, path, bearer: token)).Status);
            }
        }

        var query = _canaries.Plant("token in an address");
        foreach (var path in new[] { "/mcp", "/mcp/status", "/health", "/ready", "/metrics", "/connect/acme", "/nowhere", "/admin/api/drain" })
        {
            await _ann.GetAsync("query of " + path, $"{path}?access_token={query}&ticket={query}&token={query}", headers: ("Cookie", $"mooring-signin={_canaries.Plant("cookie of " + path)}"));
        }
    }

    /// <summary>What people ask and get.</summary>
    private async Task CallsAsync(string access)
    {
        var argument = _canaries.Plant("argument of a call", "answer to echo");
        Assert.Contains(argument, (await _ann.CallAsync("echo", "quiet", access, "echo", new JsonObject { ["text"] = argument })).Body, StringComparison.Ordinal);
        Assert.Contains(_loud.Result, (await _ann.CallAsync("tell", "loud", access, "tell", new JsonObject { ["x"] = _canaries.Plant("argument for another server", "heard at /mcp") })).Body, StringComparison.Ordinal);

        var asked = (await _ann.CallAsync("ask", "quiet", access, "ask")).Message["result"]!;
        var question = asked["inputRequests"]!.AsObject().Single().Key;
        var state = _canaries.Add("reference of a call that waits", (string)asked["requestState"]!, "answer to ask");
        var said = _canaries.Plant("answer to a question", "answer to answered");
        var answered = await _ann.CallAsync("answered", "quiet", access, "ask", rest: new JsonObject
        {
            ["requestState"] = state,
            ["inputResponses"] = new JsonObject { [question] = new JsonObject { ["action"] = "accept", ["content"] = new JsonObject { ["name"] = said } } },
        });
        Assert.Contains(said, answered.Body, StringComparison.Ordinal);

        // With a session, so that the answer goes through the store.
        var belongs = await SessionAsync("quiet", access);
        var kept = _canaries.Plant("argument of a durable call", "answer to durable");
        var durable = await _ann.PostAsync("durable", "/servers/quiet/mcp", """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"KEPT"}}}""".Replace("KEPT", kept, StringComparison.Ordinal), access, belongs);
        Assert.Contains(kept, durable.Body, StringComparison.Ordinal);
        await _ann.GetAsync("a place in no stream", "/servers/quiet/mcp", access, [.. belongs, ("Last-Event-ID", _canaries.Plant("Last-Event-ID"))]);
        var large = await _ann.PostAsync(
            "tell, large", "/servers/large/mcp", """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"large","arguments":{}}}""", access, await SessionAsync("large", access));
        Assert.Equal(2, large.Body.Split(_loud.Result).Length - 1);
    }

    /// <summary>Says hello on a server's own route.</summary>
    /// <returns>What says on later requests that they belong to that session.</returns>
    private async Task<(string Name, string Value)[]> SessionAsync(string server, string access)
    {
        var hello = """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"},"x":"NOTE"}}""".Replace("NOTE", _canaries.Plant($"parameter of initialize at {server}", server == "large" ? ["heard at /mcp"] : []), StringComparison.Ordinal);
        using var first = new HttpRequestMessage(HttpMethod.Post, _gateway.ServerUrl(server)) { Content = new StringContent(hello, System.Text.Encoding.UTF8, "application/json") };
        first.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        first.Headers.Add("Authorization", "Bearer " + access);
        using var http = new HttpClient();
        using var greeted = await http.SendAsync(first, TestContext.Current.CancellationToken);
        return [("Mcp-Session-Id", greeted.Headers.GetValues("Mcp-Session-Id").Single()), ("MCP-Protocol-Version", "2025-11-25")];
    }

    /// <summary>What nobody would send who means well.</summary>
    private async Task OddRequestsAsync(string access)
    {
        foreach (var (path, door) in new[] { ("/mcp", "all"), ("/servers/quiet/mcp", "one"), ("/messages?sessionId=" + _canaries.Plant("session in an address"), "messages") })
        {
            await _ann.PostAsync($"malformed at {door}", path, $$"""{"jsonrpc":"2.0","id":1,"method":"{{_canaries.Plant($"malformed JSON at {door}")}}""", access);
            await _ann.PostAsync($"oversize at {door}", path, $$"""{"x":"{{_canaries.Plant($"oversize at {door}")}}{{new string('x', 1_100_000)}}"}""", access);
            await _ann.PostAsync($"unknown session at {door}", path, """{"jsonrpc":"2.0","id":1,"method":"ping"}""", access, ("Mcp-Session-Id", _canaries.Plant($"unknown session at {door}")));
        }

        foreach (var path in new[] { "/mcp", "/oauth/authorize", "/connect/acme", "/connect/acme/callback", "/connect/client.json", "/admin/api/drain", "/mcp/status" })
        {
            var (host, origin, header) = (_canaries.Plant("Host at " + path, "log"), _canaries.Plant("Origin at " + path, "log"), _canaries.Plant("header at " + path));
            await _ann.GetAsync($"host at {path}", path, access, ("Host", host + ".test"), ("X-Forwarded-Host", host), ("X-Secret", header));
            await _ann.GetAsync($"origin at {path}", path, access, ("Origin", $"https://{origin}.test"), ("X-Secret", header));
        }
    }

    /// <summary>Servers that say again what they were sent, in every way there is.</summary>
    private async Task EchoesAsync(string access)
    {
        foreach (var tool in new[] { "401", "403", "404", "500", "503", "text", "torn", "noise" })
        {
            await _ann.CallAsync($"loud {tool}", "loud", access, tool, new JsonObject { ["x"] = _canaries.Plant($"argument of a call that ends as {tool}", "heard at /mcp") });
        }
    }

    private async Task AccountsAsync(string access)
    {
        async Task<Heard> BeginAsync(string what, Visitor browser)
        {
            var needed = (await _ann.CallAsync($"link {what}", "linked", access, "tell")).Message["result"]!;
            var page = new Uri((string)needed["inputRequests"]!.AsObject().Single().Value!["params"]!["url"]!);
            _canaries.Add("reference of a link, " + what, (string)needed["requestState"]!, "answer to link");
            _canaries.Add("ticket of a link, " + what, System.Web.HttpUtility.ParseQueryString(page.Query)["ticket"]!, "answer to link", "answer to connect, led back");
            var opened = await browser.GetAsync("connect, page", page.PathAndQuery);
            if (opened.Location is { } signIn)
            {
                // Nobody is signed in there yet.
                var first = _canaries.Add("request of a sign-in for a link", opened.Query("request"), "answer to connect, page", "answer to connect, sign-in");
                await browser.GetAsync("connect, sign-in", signIn.PathAndQuery);
                await browser.FormAsync("connect, sign-in, wrong password", "/oauth/signin", ("request", first), ("user", "ann"), ("password", _canaries.Plant("wrong password for a link")));
                var right = await browser.FormAsync("connect, sign-in, right password", "/oauth/signin", ("request", first), ("user", "ann"), ("password", _password));
                _canaries.Add("request of a link", right.Query("request"), "answer to connect, sign-in");
                var back = await browser.GetAsync("connect, led back", right.Location!.PathAndQuery);
                Assert.Equal(page.PathAndQuery, back.Location!.PathAndQuery);
                opened = await browser.GetAsync("connect, page, signed in", page.PathAndQuery);
            }

            Assert.Equal(200, opened.Status);
            var sent = await browser.FormAsync("connect, sent on", page.PathAndQuery);
            Assert.Equal(303, sent.Status);
            return sent;
        }

        Task<Heard> BackAsync(Heard sent, string what, string query, Visitor browser) => browser.GetAsync($"connect, {what}", $"/connect/acme/callback?{query}&state={Uri.EscapeDataString(_canaries.Add($"state of a link, {what}", sent.Query("state"), "answer to connect, sent on"))}");
        await BackAsync(await BeginAsync("refused", _ann), "refused", $"error={_canaries.Plant("error of an account provider")}", _ann);
        await BackAsync(await BeginAsync("echoed", _ann), "echoed", $"code={_canaries.Plant("code that an account provider says again", "heard at /token")}", _ann);
        _loud.Takes = _canaries.Plant("access token of an account", "heard at /linked");
        _loud.Gives = (_loud.Takes, _canaries.Plant("refresh token of an account", "heard at /token"));
        using var another = new Visitor(_gateway.BaseUrl, _canaries);
        var good = await BackAsync(await BeginAsync("good", another), "good", $"code={_canaries.Plant("code of an account", "heard at /token")}", another);
        Assert.Equal(200, good.Status);
        Assert.Contains(_loud.Result, (await _ann.CallAsync("tell, linked", "linked", access, "tell")).Body, StringComparison.Ordinal);
        await _ann.CallAsync("loud with an account", "linked", access, "500");

        // The server takes the token no longer, and the provider gives no other.
        var before = _loud.Takes;
        (_loud.Gives, _loud.Takes) = (null, "another");
        await _ann.CallAsync("link, lost", "linked", access, "tell");
        _loud.Takes = before;
        foreach (var path in new[] { "/connect/acme", "/connect/acme/callback", "/connect/nobody" })
        {
            await _ann.GetAsync($"connect, unknown at {path}", $"{path}?ticket={_canaries.Plant("unknown ticket at " + path)}&state={_canaries.Plant("unknown state at " + path)}&code=x");
        }
    }

    /// <summary>Who has nothing but a key shows it on the page itself.</summary>
    private async Task AccountOfAKeyAsync(string key)
    {
        var needed = (await _ann.CallAsync("link of a key", "linked", key, "tell")).Message["result"]!;
        var page = new Uri((string)needed["inputRequests"]!.AsObject().Single().Value!["params"]!["url"]!).PathAndQuery;
        _canaries.Add("ticket of a link of a key", System.Web.HttpUtility.ParseQueryString(page.Split('?')[1])["ticket"]!, "answer to link of a key");
        using var browser = new Visitor(_gateway.BaseUrl, _canaries);
        await browser.GetAsync("connect, page for a key", page);
        Assert.Equal(403, (await browser.FormAsync("connect, wrong key", page, ("key", "mrk_" + _canaries.Plant("wrong key for a link")))).Status);
        Assert.Equal(303, (await browser.FormAsync("connect, right key", page, ("key", key))).Status);
    }

    private async Task LooksAsync(string admin)
    {
        foreach (var path in new[]
        {
            "/metrics", "/health", "/ready", "/mcp/status", "/admin/api/drain", "/admin/api/sessions", "/admin/api/streams", "/admin/api/upstreams", "/admin/api/calls", "/admin/api/config", "/admin/api/audit",
            "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server", "/connect/client.json", "/",
        })
        {
            await _ann.GetAsync(path, path, admin);
        }

        using var trusted = X509CertificateLoader.LoadCertificateFromFile(_inputs.File("cert.pem"));
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, CustomTrustStore = { trusted } };
        using var handler = new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = policy } };
        using var http = new HttpClient(handler);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri(_tls, "/health"), TestContext.Current.CancellationToken)).StatusCode);
    }

    /// <summary>Verbs that look, and a check of a configuration in which each secret is wrong.</summary>
    private async Task VerbsAsync()
    {
        foreach (var verb in new[] { "check", "sessions", "streams", "upstreams" })
        {
            await VerbAsync(verb, verb, "--config", _gateway.ConfigFile);
        }

        await VerbAsync("token list", "token", "list", "--config", _gateway.ConfigFile, "--data", _gateway.DataFolder);
        await VerbAsync("token list of all", "token", "list", "--all", "--config", _gateway.ConfigFile, "--data", _gateway.DataFolder);
        await File.WriteAllTextAsync(_inputs.File("two lines"), $"{_canaries.Plant("file of two lines")}\n{_canaries.Plant("its second line")}\n", TestContext.Current.CancellationToken);
        var wrong = new JsonObject
        {
            ["store"] = new JsonObject { ["kind"] = "postgres", ["connection"] = $"Host=db;Password={_canaries.Plant("password in a wrong connection")};Nonsense=1" },
            ["vault"] = new JsonObject { ["keyFile"] = _inputs.File("two lines") },
            ["tls"] = new JsonObject { ["cert"] = _inputs.File("two lines"), ["key"] = _inputs.File("two lines") },
            ["providers"] = new JsonObject { ["p"] = new JsonObject { ["authorizeUrl"] = $"no address {_canaries.Plant("wrong address")}", ["clientSecret"] = new JsonArray(_canaries.Plant("clientSecret that is a list")) } },
            ["auth"] = new JsonObject { ["mode"] = "oauth", ["oauth"] = new JsonObject { ["users"] = new JsonObject { ["u"] = new JsonObject { ["password"] = new JsonObject { ["x"] = _canaries.Plant("password that is an object") } } } } },
            ["mcpServers"] = new JsonObject
            {
                ["s"] = new JsonObject { ["url"] = "http://127.0.0.1:1/mcp", ["headers"] = new JsonObject { ["X"] = $"${{file:{_inputs.File("two lines")}}}", ["A b"] = _canaries.Plant("header with a wrong name") } },
                ["t"] = new JsonObject { ["url"] = $"ftp://user:{_canaries.Plant("password in a wrong address")}@host/", ["headers"] = _canaries.Plant("headers that are text") },
            },
        };
        await File.WriteAllTextAsync(_inputs.File("wrong.json"), wrong.ToJsonString(), TestContext.Current.CancellationToken);
        Assert.NotEqual(0, (await VerbAsync("check, wrong", "check", "--config", _inputs.File("wrong.json"))).ExitCode);
        await File.WriteAllTextAsync(_inputs.File("torn.json"), $$"""{"auth":{"oauth":{"users":{"u":{"password":"{{_canaries.Plant("password in a torn file")}}""", TestContext.Current.CancellationToken);
        await VerbAsync("check, torn", "check", "--config", _inputs.File("torn.json"));
    }

    private static string Challenge(string verifier) =>
        System.Buffers.Text.Base64Url.EncodeToString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(verifier)));
}
