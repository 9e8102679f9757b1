using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>
/// The two operations of the AWS Key Management Service that the gateway uses, as the AWS client speaks to them over the wire. Keeps what it was
/// asked, insists on the encryption context that a text was made with, and is away or unwilling at will.
/// </summary>
internal sealed class FakeKms : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, (string Key, string Context, string Plain)> _texts = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<(string Operation, JsonObject Body)> _asked = new();
    private WebApplication _app = null!;

    public int Port { get; private set; }

    public Uri Url => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}/");

    /// <summary>Answered instead of a result, such as <c>AccessDeniedException</c>; null: results.</summary>
    public string? Says { get; set; }

    /// <summary>Breaks every connection, as a service that is away.</summary>
    public bool IsAway { get; set; }

    public int Asked(string operation) => _asked.Count(entry => entry.Operation == operation);

    public JsonObject Last(string operation) => _asked.Last(entry => entry.Operation == operation).Body;

    /// <summary>What the last request was signed with: the header, and the token beside it.</summary>
    public (string Signature, string Token) Signed { get; private set; }

    /// <summary>Forgets what it made: what was encrypted here cannot be decrypted any more.</summary>
    public void Forget() => _texts.Clear();

    public static async Task<FakeKms> StartAsync()
    {
        var kms = new FakeKms();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRouting();
        kms._app = builder.Build();
        kms._app.Run(kms.AnswerAsync);
        await kms._app.StartAsync();
        kms.Port = new Uri(kms._app.Urls.First()).Port;
        return kms;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var operation = context.Request.Headers["X-Amz-Target"].ToString().Split('.')[^1];
        using var reader = new StreamReader(context.Request.Body);
        var body = JsonNode.Parse(await reader.ReadToEndAsync())!.AsObject();
        Signed = (context.Request.Headers.Authorization.ToString(), context.Request.Headers["X-Amz-Security-Token"].ToString());
        _asked.Enqueue((operation, body));
        if (IsAway)
        {
            context.Abort();
            return;
        }

        if (!context.Request.Headers.Authorization.ToString().StartsWith("AWS4-HMAC-SHA256 ", StringComparison.Ordinal))
        {
            await RefuseAsync(context, "MissingAuthenticationTokenException");
        }
        else if (Says is { } says)
        {
            await RefuseAsync(context, says);
        }
        else if (operation == "Encrypt")
        {
            var text = Convert.ToBase64String(RandomNumberGenerator.GetBytes(48));
            _texts[text] = ((string)body["KeyId"]!, ContextOf(body), (string)body["Plaintext"]!);
            await WriteAsync(context, HttpStatusCode.OK, new JsonObject { ["CiphertextBlob"] = text, ["KeyId"] = (string)body["KeyId"]! });
        }
        else if (_texts.TryGetValue((string)body["CiphertextBlob"]!, out var known) && known.Key == (string?)body["KeyId"] && known.Context == ContextOf(body))
        {
            await WriteAsync(context, HttpStatusCode.OK, new JsonObject { ["Plaintext"] = known.Plain, ["KeyId"] = known.Key });
        }
        else
        {
            await RefuseAsync(context, "InvalidCiphertextException");
        }
    }

    private static string ContextOf(JsonObject body) =>
        string.Join(',', body["EncryptionContext"]!.AsObject().OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));

    private static Task RefuseAsync(HttpContext context, string type) => WriteAsync(context, HttpStatusCode.BadRequest, new JsonObject { ["__type"] = type, ["message"] = "scripted" });

    private static Task WriteAsync(HttpContext context, HttpStatusCode status, JsonObject body)
    {
        context.Response.StatusCode = (int)status;
        context.Response.ContentType = "application/x-amz-json-1.1";
        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body.ToJsonString())).AsTask();
    }
}
