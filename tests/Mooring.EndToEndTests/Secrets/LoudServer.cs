using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.EndToEndTests.Secrets;

/// <summary>
/// All that a gateway talks to, on one port, and none of it discreet: an MCP server, one that is used with accounts, a token endpoint and an OpenID Connect
/// provider. What they are sent they say again, in bodies, in headers and as error codes, and keep for the test to look at. The test that started it disposes it.
/// </summary>
internal sealed class LoudServer : IAsyncDisposable
{
    private readonly ConcurrentQueue<(string Path, string Text)> _heard = new();
    private readonly RSA _key = RSA.Create(2048);
    private WebApplication _app = null!;

    public Uri Url { get; private set; } = null!;

    public string Base => Url.GetLeftPart(UriPartial.Authority);

    /// <summary>What its tool answers.</summary>
    public string Result { get; set; } = "";

    /// <summary>Tokens that its token endpoint gives; null: it refuses, and says again what it was sent.</summary>
    public (string Access, string Refresh)? Gives { get; set; }

    /// <summary>The bearer token that the server for accounts takes.</summary>
    public string? Takes { get; set; }

    /// <summary>What came to paths that begin so: line, headers and body.</summary>
    public string Heard(string path) => string.Join('\n', _heard.Where(one => one.Path.StartsWith(path, StringComparison.Ordinal)).Select(one => one.Text));

    public static async Task<LoudServer> StartAsync()
    {
        var server = new LoudServer();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRouting();
        server._app = builder.Build();
        server._app.Run(server.AnswerAsync);
        await server._app.StartAsync();
        server.Url = new Uri(server._app.Urls.First());
        return server;
    }

    /// <summary>A token of its own as an issuer.</summary>
    public string Sign(JsonObject claims)
    {
        var text = Encode(new JsonObject { ["alg"] = "RS256", ["typ"] = "JWT", ["kid"] = "k" }) + "." + Encode(claims);
        return text + "." + System.Buffers.Text.Base64Url.EncodeToString(_key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _key.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync();
        var said = $"{context.Request.Path}{context.Request.QueryString} {string.Join(" ", context.Request.Headers.Select(header => $"{header.Key}: {header.Value}"))} {body}";
        _heard.Enqueue((context.Request.Path.Value!, said));
        switch (context.Request.Path.Value)
        {
            case "/.well-known/openid-configuration":
                await JsonAsync(context, new JsonObject
                {
                    ["issuer"] = Base,
                    ["authorization_endpoint"] = Base + "/authorize",
                    ["token_endpoint"] = Base + "/token",
                    ["jwks_uri"] = Base + "/jwks",
                });
                break;
            case "/jwks":
                var key = _key.ExportParameters(false);
                await JsonAsync(context, new JsonObject
                {
                    ["keys"] = new JsonArray(new JsonObject
                    {
                        ["kty"] = "RSA",
                        ["use"] = "sig",
                        ["alg"] = "RS256",
                        ["kid"] = "k",
                        ["n"] = System.Buffers.Text.Base64Url.EncodeToString(key.Modulus),
                        ["e"] = System.Buffers.Text.Base64Url.EncodeToString(key.Exponent),
                    }),
                });
                break;
            case "/token" when Gives is { } tokens:
                await JsonAsync(context, new JsonObject { ["access_token"] = tokens.Access, ["refresh_token"] = tokens.Refresh, ["token_type"] = "Bearer", ["expires_in"] = 3600 });
                break;
            case "/token":
                context.Response.StatusCode = 400;
                // One word and short enough for a code, as well as a whole description.
                await JsonAsync(context, new JsonObject { ["error"] = Secrets(said).FirstOrDefault() ?? "nothing", ["error_description"] = said });
                break;
            case "/linked" when context.Request.Headers.Authorization != $"Bearer {Takes}":
                await EchoAsync(context, 401, said);
                break;
            case "/mcp" or "/linked" when HttpMethods.IsPost(context.Request.Method):
                await McpAsync(context, JsonNode.Parse(body)!.AsObject(), said);
                break;
            default:
                context.Response.StatusCode = 405;
                break;
        }
    }

    private async Task McpAsync(HttpContext context, JsonObject message, string said)
    {
        if (message["id"] is null)
        {
            context.Response.StatusCode = 202;
            return;
        }

        var tool = (string?)message["params"]?["name"];
        switch (tool)
        {
            case "401" or "403" or "404" or "500" or "503":
                await EchoAsync(context, int.Parse(tool, System.Globalization.CultureInfo.InvariantCulture), said);
                return;
            case "text":
                context.Response.ContentType = "text/plain";
                await context.Response.WriteAsync(said);
                return;
            case "torn":
                context.Response.ContentType = "application/json";
                await context.Response.WriteAsync("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"said\":\"" + said);
                return;
            case "noise":
                context.Response.ContentType = "text/event-stream";
                await context.Response.WriteAsync($"data: {{{said.ReplaceLineEndings(" ")}\n\n");
                return;
        }

        JsonObject result = (string?)message["method"] switch
        {
            "initialize" => new JsonObject
            {
                ["protocolVersion"] = "2025-06-18",
                ["capabilities"] = new JsonObject { ["tools"] = new JsonObject() },
                ["serverInfo"] = new JsonObject { ["name"] = "loud", ["version"] = "1" },
            },
            "tools/list" => new JsonObject { ["tools"] = new JsonArray(new JsonObject { ["name"] = "tell", ["inputSchema"] = new JsonObject { ["type"] = "object" } }) },
            // Larger than what a store keeps in one piece, in noise that nothing makes smaller; what is looked for stands at both ends.
            "tools/call" when tool == "large" => new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = Result + Convert.ToHexString(RandomNumberGenerator.GetBytes(300_000)) + Result }) },
            "tools/call" => new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = Result }) },
            _ => [],
        };
        await JsonAsync(context, new JsonObject { ["jsonrpc"] = "2.0", ["id"] = message["id"]!.DeepClone(), ["result"] = result });
    }

    private static Task EchoAsync(HttpContext context, int status, string said)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.WWWAuthenticate = $"Bearer error=\"{Secrets(said).FirstOrDefault() ?? "invalid_token"}\", error_description=\"{string.Join(' ', Secrets(said))}\"";
        context.Response.Headers["X-Said"] = string.Join(' ', Secrets(said));
        return context.Response.WriteAsync(said);
    }

    private static Task JsonAsync(HttpContext context, JsonObject json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json.ToJsonString());
    }

    private static IEnumerable<string> Secrets(string said) =>
        System.Text.RegularExpressions.Regex.Matches(said, "cnry[0-9a-f]{28}", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(5)).Select(match => match.Value).Distinct();

    private static string Encode(JsonObject json) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));
}
