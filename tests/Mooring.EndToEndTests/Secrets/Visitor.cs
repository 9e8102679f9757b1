using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Web;
using Xunit;

namespace Mooring.EndToEndTests.Secrets;

/// <summary>What a gateway answered.</summary>
internal sealed record Heard(int Status, string Body, Uri? Location)
{
    /// <summary>The message in it: the body, or the last one of an event stream.</summary>
    public JsonObject Message => JsonNode.Parse(Body.StartsWith('{') ? Body : Body.Split('\n').Last(line => line.StartsWith("data: {", StringComparison.Ordinal))["data: ".Length..])!.AsObject();

    public string Field(string name) => Regex.Match(Body, $"name=\"{name}\" value=\"([^\"]+)\"", RegexOptions.None, TimeSpan.FromSeconds(5)).Groups[1].Value;

    public string Query(string name) => HttpUtility.ParseQueryString(Location!.Query)[name] ?? throw new InvalidOperationException($"{Location} has no {name}.");
}

/// <summary>Requests to a gateway from one browser or program; every answer, with its head, is an output.</summary>
internal sealed class Visitor(Uri gateway, Canaries canaries) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = true, CookieContainer = new CookieContainer() }) { Timeout = TimeSpan.FromSeconds(60) };

    public Task<Heard> GetAsync(string what, string path, string? bearer = null, params (string Name, string Value)[] headers) => SendAsync(what, HttpMethod.Get, path, null, bearer, headers);

    public Task<Heard> FormAsync(string what, string path, params (string Name, string Value)[] fields) => SendAsync(
        what, HttpMethod.Post, path, new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value))), null, ("Origin", gateway.GetLeftPart(UriPartial.Authority)), ("Sec-Fetch-Site", "same-origin"));

    public Task<Heard> PostAsync(string what, string path, string body, string? bearer = null, params (string Name, string Value)[] headers) =>
        SendAsync(what, HttpMethod.Post, path, new StringContent(body, Encoding.UTF8, "application/json"), bearer, headers);

    public async Task<Heard> SendAsync(string what, HttpMethod method, string path, HttpContent? content = null, string? bearer = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(gateway, path)) { Content = content };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        if (bearer is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + bearer);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        var body = method == HttpMethod.Get && response.Content.Headers.ContentType?.MediaType == "text/event-stream"
            ? await FirstAsync(response)
            : await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set.Select(text => text.Split(';')[0].Split('=', 2)) : [])
        {
            if (cookie[1].Length > 20)
            {
                canaries.Add($"cookie {cookie[0]} of {what}", cookie[1], $"answer to {what}");
            }
        }

        canaries.Saw($"answer to {what}", $"{(int)response.StatusCode} {response.ReasonPhrase}\n{response.Headers}{response.Content.Headers}\n{body}");
        return new Heard((int)response.StatusCode, body, response.Headers.Location is { } location ? new Uri(gateway, location) : null);
    }

    /// <summary>A request of a client of 2026-07-28, which says all that it has to say at once.</summary>
    public Task<Heard> CallAsync(string what, string server, string bearer, string tool, JsonObject? arguments = null, JsonObject? rest = null, string capabilities = """{"elicitation":{"form":{},"url":{}}}""")
    {
        var parameters = new JsonObject { ["name"] = tool, ["arguments"] = arguments ?? [] };
        foreach (var (key, value) in rest ?? [])
        {
            parameters[key] = value?.DeepClone();
        }

        parameters["_meta"] = new JsonObject
        {
            ["io.modelcontextprotocol/protocolVersion"] = "2026-07-28",
            ["io.modelcontextprotocol/clientCapabilities"] = JsonNode.Parse(capabilities),
            ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "visitor", ["version"] = "1" },
        };
        var message = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 1, ["method"] = "tools/call", ["params"] = parameters };
        return PostAsync(what, $"/servers/{server}/mcp", message.ToJsonString(), bearer, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool));
    }

    /// <summary>How a stream begins that goes on for ever.</summary>
    private static async Task<string> FirstAsync(HttpResponseMessage response)
    {
        var buffer = new byte[16 * 1024];
        await using var stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, TestContext.Current.CancellationToken));
    }

    public void Dispose() => _http.Dispose();
}
