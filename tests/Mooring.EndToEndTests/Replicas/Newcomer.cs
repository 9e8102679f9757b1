using System.Buffers.Text;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Web;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>A client and the browser of its person, both at one address, whose every request goes to the replica that the test names. The test that made it disposes it.</summary>
/// <param name="address">What both know the gateway by.</param>
internal sealed partial class Newcomer(Uri address) : IDisposable
{
    private const string Callback = "http://127.0.0.1:39998/callback";

    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, CookieContainer = new CookieContainer() }) { Timeout = TimeSpan.FromSeconds(60) };
    private readonly string _verifier = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
    private string _client = "";

    /// <summary>Registers the client.</summary>
    public async Task RegisterAsync(GatewayProcess at)
    {
        using var response = await SendAsync(at, HttpMethod.Post, "/oauth/register", JsonContent.Create(new JsonObject { ["client_name"] = "Newcomer", ["redirect_uris"] = new JsonArray(Callback) }));
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        _client = (string)(await JsonAsync(response))["client_id"]!;
    }

    /// <summary>Opens what the client sends its person to.</summary>
    /// <returns>The path of the page that follows.</returns>
    public Task<string> AuthorizeAsync(GatewayProcess at)
    {
        var challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(_verifier)));
        return NextAsync(at, $"/oauth/authorize?response_type=code&client_id={_client}&redirect_uri={Uri.EscapeDataString(Callback)}&code_challenge={challenge}&code_challenge_method=S256&state=s");
    }

    /// <summary>The link on the sign-in page, to the provider and back.</summary>
    /// <returns>The path that the provider sends the browser back to.</returns>
    public async Task<string> VisitAsync(string page, GatewayProcess pageAt, GatewayProcess linkAt)
    {
        var link = WebUtility.HtmlDecode(Link().Match(await PageAsync(pageAt, page)).Groups["to"].Value);
        using var away = await SendAsync(linkAt, HttpMethod.Get, new Uri(link).PathAndQuery);
        using var back = await _http.GetAsync(away.Headers.Location, TestContext.Current.CancellationToken);
        var there = back.Headers.Location!;
        Assert.Equal(address.GetLeftPart(UriPartial.Authority), there.GetLeftPart(UriPartial.Authority));
        return there.PathAndQuery;
    }

    /// <summary>A redirect of the gateway to itself.</summary>
    public async Task<string> NextAsync(GatewayProcess at, string path)
    {
        using var response = await SendAsync(at, HttpMethod.Get, path);
        Assert.True(response.StatusCode == HttpStatusCode.SeeOther, at.Process.Describe($"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}"));
        return response.Headers.Location!.PathAndQuery;
    }

    /// <summary>Signs in by name and password at the page that asks for it.</summary>
    /// <returns>The path of the page that follows.</returns>
    public async Task<string> SignInAsync(string page, GatewayProcess pageAt, GatewayProcess formAt, string user, string password)
    {
        using var response = await SubmitAsync(formAt, "/oauth/signin", await PageAsync(pageAt, page), ("user", user), ("password", password));
        return response.Headers.Location!.PathAndQuery;
    }

    /// <summary>Allows what the page asks for.</summary>
    /// <returns>The code for the client.</returns>
    public async Task<string> AllowAsync(string page, GatewayProcess pageAt, GatewayProcess formAt)
    {
        var html = await PageAsync(pageAt, page);
        Assert.Contains("Allow access?", html, StringComparison.Ordinal);
        using var response = await SubmitAsync(formAt, "/oauth/consent", html, ("decision", "allow"));
        Assert.StartsWith(Callback, response.Headers.Location?.OriginalString, StringComparison.Ordinal);
        return HttpUtility.ParseQueryString(response.Headers.Location!.Query)["code"]!;
    }

    /// <summary>Asks for tokens with a code.</summary>
    public Task<(HttpStatusCode Status, JsonObject Answer)> ExchangeAsync(GatewayProcess at, string code) =>
        TokenAsync(at, ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback), ("code_verifier", _verifier));

    public Task<(HttpStatusCode Status, JsonObject Answer)> RefreshAsync(GatewayProcess at, string token) => TokenAsync(at, ("grant_type", "refresh_token"), ("refresh_token", token));

    public async Task RevokeAsync(GatewayProcess at, string token)
    {
        using var response = await SendAsync(at, HttpMethod.Post, "/oauth/revoke", Form([("token", token), ("client_id", _client)]));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    /// <summary>Calls the tool that answers what it is told.</summary>
    /// <returns>What it answered; the status where that is not 200.</returns>
    public async Task<string> CallAsync(GatewayProcess at, string token, string text = "hello")
    {
        var message = new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = 1,
            ["method"] = "tools/call",
            ["params"] = new JsonObject
            {
                ["name"] = "echo",
                ["arguments"] = new JsonObject { ["text"] = text },
                ["_meta"] = new JsonObject
                {
                    ["io.modelcontextprotocol/protocolVersion"] = "2026-07-28",
                    ["io.modelcontextprotocol/clientCapabilities"] = new JsonObject(),
                    ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "newcomer", ["version"] = "1" },
                },
            },
        };
        using var response = await SendAsync(at, HttpMethod.Post, "/servers/up/mcp", JsonContent.Create(message), token, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo"));
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var json = body.StartsWith('{') ? body : body.Split('\n').LastOrDefault(line => line.StartsWith("data: {", StringComparison.Ordinal))?["data: ".Length..];
        return response.IsSuccessStatusCode && json is not null ? (string?)JsonNode.Parse(json)!["result"]?["content"]?[0]?["text"] ?? body : $"{(int)response.StatusCode}";
    }

    public void Dispose() => _http.Dispose();

    private async Task<string> PageAsync(GatewayProcess at, string path)
    {
        using var response = await SendAsync(at, HttpMethod.Get, path);
        var html = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, at.Process.Describe($"{path}: {(int)response.StatusCode} {html}"));
        return html;
    }

    private async Task<HttpResponseMessage> SubmitAsync(GatewayProcess at, string path, string html, params (string Name, string Value)[] fields)
    {
        var response = await SendAsync(
            at, HttpMethod.Post, path, Form([("request", WebUtility.HtmlDecode(RequestField().Match(html).Groups["value"].Value)), .. fields]), null,
            ("Origin", address.GetLeftPart(UriPartial.Authority)), ("Sec-Fetch-Site", "same-origin"));
        Assert.True(response.StatusCode == HttpStatusCode.SeeOther, at.Process.Describe($"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}"));
        return response;
    }

    private async Task<(HttpStatusCode Status, JsonObject Answer)> TokenAsync(GatewayProcess at, params (string Name, string Value)[] fields)
    {
        using var response = await SendAsync(at, HttpMethod.Post, "/oauth/token", Form([("client_id", _client), .. fields]));
        return (response.StatusCode, await JsonAsync(response));
    }

    private Task<HttpResponseMessage> SendAsync(GatewayProcess at, HttpMethod method, string path, HttpContent? content = null, string? token = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, new Uri(at.BaseUrl, path)) { Content = content };
        request.Headers.Host = address.Authority;
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return _http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static FormUrlEncodedContent Form(IEnumerable<(string Name, string Value)> fields) => new(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)));

    private static async Task<JsonObject> JsonAsync(HttpResponseMessage response) => JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();

    [GeneratedRegex("name=\"request\" value=\"(?<value>[^\"]+)\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex RequestField();

    [GeneratedRegex("href=\"(?<to>[^\"]+/oauth/signin/corp[^\"]*)\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Link();
}
