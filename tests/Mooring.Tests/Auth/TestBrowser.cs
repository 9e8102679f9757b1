using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Web;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>A browser without a screen: keeps cookies, follows links and forms only where it is told to.</summary>
internal sealed partial class TestBrowser(HttpClient http)
{
    public Dictionary<string, string> Cookies { get; } = new(StringComparer.Ordinal);

    /// <summary>What it was told to keep, as it was told.</summary>
    public List<string> Kept { get; } = [];

    public Task<TestPage> OpenAsync(string url, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Get, url, form: null, headers);

    public Task<TestPage> PostAsync(string url, IReadOnlyDictionary<string, string> form, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Post, url, form, headers);

    /// <summary>Fills in and sends the form of a page.</summary>
    public Task<TestPage> SubmitAsync(TestPage page, params (string Name, string Value)[] fields)
    {
        var form = page.Hidden.Concat(fields.Select(field => KeyValuePair.Create(field.Name, field.Value))).ToDictionary(StringComparer.Ordinal);
        return PostAsync(page.Action, form, ("Origin", new Uri(page.Action).GetLeftPart(UriPartial.Authority)), ("Sec-Fetch-Site", "same-origin"));
    }

    private async Task<TestPage> SendAsync(HttpMethod method, string url, IReadOnlyDictionary<string, string>? form, (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, url) { Content = form is null ? null : new FormUrlEncodedContent(form) };
        if (Cookies.Count > 0)
        {
            request.Headers.Add("Cookie", string.Join("; ", Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await Limit.Of(http.SendAsync(request), url);
        foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set : [])
        {
            Kept.Add(cookie);
            Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("samesite=lax", cookie, StringComparison.OrdinalIgnoreCase);
            var pair = cookie.Split(';')[0].Split('=', 2);
            Cookies[pair[0]] = pair[1];
        }

        return new TestPage(response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers.Location?.OriginalString,
            response.Headers.TryGetValues("Content-Security-Policy", out var policy) ? policy.Single() : null)
        {
            Headers = response.Headers.ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase),
        };
    }
}

/// <summary>What a browser was answered.</summary>
internal sealed partial record TestPage(HttpStatusCode Status, string Html, string? Location, string? Policy)
{
    public required IReadOnlyDictionary<string, string> Headers { get; init; }

    /// <summary>Hidden fields of its form.</summary>
    public IEnumerable<KeyValuePair<string, string>> Hidden =>
        HiddenField().Matches(Html).Select(match => KeyValuePair.Create(match.Groups["name"].Value, WebUtility.HtmlDecode(match.Groups["value"].Value)));

    /// <summary>Where its links lead.</summary>
    public IEnumerable<string> Links => LinkTarget().Matches(Html).Select(match => WebUtility.HtmlDecode(match.Groups["to"].Value));

    public string Action => WebUtility.HtmlDecode(FormAction().Match(Html).Groups["to"].Value);

    /// <summary>Parameters of where it leads.</summary>
    public System.Collections.Specialized.NameValueCollection Query => HttpUtility.ParseQueryString(new Uri(Location!).Query);

    [GeneratedRegex("<input type=\"hidden\" name=\"(?<name>[^\"]+)\" value=\"(?<value>[^\"]+)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex HiddenField();

    [GeneratedRegex("<form method=\"post\" action=\"(?<to>[^\"]+)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FormAction();

    [GeneratedRegex("<a [^>]*href=\"(?<to>[^\"]+)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LinkTarget();
}

/// <summary>A program that wants a token: registers, sends its person's browser off, and exchanges what comes back.</summary>
internal sealed class TestOAuthClient(GatewayFixture gateway)
{
    public const string Callback = "http://127.0.0.1:7777/callback";

    public string Id { get; set; } = "";

    public string Verifier { get; } = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));

    public string Challenge => System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Verifier)));

    public static async Task<TestOAuthClient> RegisterAsync(GatewayFixture gateway, string name = "Test program", params string[] redirectUris)
    {
        var client = new TestOAuthClient(gateway);
        var (status, json) = await client.TryRegisterAsync(new JsonObject
        {
            ["client_name"] = name,
            ["redirect_uris"] = new JsonArray([.. (redirectUris.Length == 0 ? [Callback] : redirectUris).Select(uri => JsonValue.Create(uri))]),
            ["token_endpoint_auth_method"] = "none",
        });
        Assert.True(status == HttpStatusCode.Created, json.ToJsonString());
        client.Id = (string)json["client_id"]!;
        return client;
    }

    public async Task<(HttpStatusCode Status, JsonObject Json)> TryRegisterAsync(JsonNode metadata, string address = "127.0.0.1")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/oauth/register") { Content = new StringContent(metadata.ToJsonString(), Encoding.UTF8, "application/json") };
        request.Headers.Add("X-Test-Address", address);
        using var response = await Limit.Of(gateway.Http.SendAsync(request), "the registration");
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }

    /// <summary>Where it sends the browser, with some parameters otherwise; null takes one away.</summary>
    public string AuthorizeUrl(params (string Name, string? Value)[] changes)
    {
        var all = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["response_type"] = "code",
            ["client_id"] = Id,
            ["redirect_uri"] = Callback,
            ["state"] = "st/ä te",
            ["code_challenge"] = Challenge,
            ["code_challenge_method"] = "S256",
            ["scope"] = "mcp",
            ["resource"] = "http://localhost/servers/one/mcp",
        };
        foreach (var (name, value) in changes)
        {
            all[name] = value;
        }

        return "/oauth/authorize?" + string.Join('&', all.Where(pair => pair.Value is not null).Select(pair => $"{pair.Key}={Uri.EscapeDataString(pair.Value!)}"));
    }

    /// <summary>Through all pages, as somebody known here: the answer that the browser is sent back with.</summary>
    public async Task<TestPage> AllowAsync(TestBrowser browser, string user = "ann", params (string Name, string? Value)[] changes)
    {
        var password = user == "ann" ? "secret" : "hidden";
        var page = await browser.OpenAsync((await browser.OpenAsync(AuthorizeUrl(changes))).Location!);
        if (page.Html.Contains("type=\"password\"", StringComparison.Ordinal))
        {
            page = await browser.SubmitAsync(page, ("user", user), ("password", password));
            page = await browser.OpenAsync(page.Location!);
        }

        return await browser.SubmitAsync(page, ("decision", "allow"));
    }

    public Task<(HttpStatusCode Status, JsonObject Json)> ExchangeAsync(string code, params (string Name, string? Value)[] changes) => AskAsync("/oauth/token", changes,
        ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback), ("client_id", Id), ("code_verifier", Verifier));

    public Task<(HttpStatusCode Status, JsonObject Json)> RefreshAsync(string token, params (string Name, string? Value)[] changes) =>
        AskAsync("/oauth/token", changes, ("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", Id));

    public Task<(HttpStatusCode Status, JsonObject Json)> RevokeAsync(string token) => AskAsync("/oauth/revoke", [], ("token", token), ("client_id", Id));

    /// <summary>From nothing to tokens.</summary>
    public async Task<(string Access, string Refresh)> TokensAsync(TestBrowser? browser = null, string user = "ann", params (string Name, string? Value)[] changes)
    {
        var answer = await AllowAsync(browser ?? new TestBrowser(gateway.Http), user, changes);
        var (status, json) = await ExchangeAsync(answer.Query["code"]!);
        Assert.True(status == HttpStatusCode.OK, json.ToJsonString());
        return ((string)json["access_token"]!, (string)json["refresh_token"]!);
    }

    private async Task<(HttpStatusCode Status, JsonObject Json)> AskAsync(string path, (string Name, string? Value)[] changes, params (string Name, string? Value)[] fields)
    {
        var form = fields.Concat(changes).GroupBy(field => field.Name).Select(group => group.Last()).Where(field => field.Value is not null).ToDictionary(field => field.Name, field => field.Value!, StringComparer.Ordinal);
        using var response = await Limit.Of(gateway.Http.PostAsync(path, new FormUrlEncodedContent(form)), path);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }
}
