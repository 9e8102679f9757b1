using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>HTTP/1.1, HTTP/2 with prior knowledge, and both over TLS: every kind of answer on the same port.</summary>
public sealed class HttpVersionTests
{
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    public async Task EveryKindOfAnswer_OverEveryHttpVersion_Arrives(int major, bool secure)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var site = await Site.StartAsync(server);
        using var client = await McpClient.ConnectAsync(site.Url(secure), handler: Handler(), http: Http(major));

        using (var json = await client.PostAsync(client.ToolCall("echo", "json")))
        {
            Assert.Equal(Http(major), json.Version);
            Assert.Equal("application/json", json.Content.Headers.ContentType?.MediaType);
            Assert.Equal("json", Text(await McpClient.AnswerOfAsync(json, client.LastId)));
        }

        using var get = await client.OpenAsync();
        Assert.Equal(Http(major), get.Response.Version);
        server.Log("on the stream");
        Assert.Equal("on the stream", (string?)(await get.NotificationAsync("notifications/message"))["params"]!["data"]);

        var call = client.ToolCall("talk", "sse");
        using var post = await client.PostForStreamAsync(call);
        Assert.Equal(Http(major), post.Response.Version);
        Assert.Equal("talking", (string?)(await post.NotificationAsync("notifications/message"))["params"]!["data"]);
        server.Release();
        Assert.Equal("sse", Text(await post.AnswerAsync((int)call["id"]!)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TenStreamsOnOneConnection_AllLive_SideBySide(bool secure)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var site = await Site.StartAsync(server);
        var connections = 0;
        var handler = Handler();
        handler.EnableMultipleHttp2Connections = false;
        handler.ConnectCallback = async (context, cancel) =>
        {
            Interlocked.Increment(ref connections);
            var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
        };
        using var client = await McpClient.ConnectAsync(site.Url(secure), handler: handler, http: HttpVersion.Version20);
        var calls = Enumerable.Range(0, 10).Select(i => client.ToolCall("hold", i.ToString(CultureInfo.InvariantCulture))).ToList();

        var streams = await Task.WhenAll(calls.Select(client.PostForStreamAsync));
        Assert.Equal("between", await client.CallAsync("echo", "between"));
        server.Release();

        for (var i = 0; i < streams.Length; i++)
        {
            Assert.Equal(i.ToString(CultureInfo.InvariantCulture), Text(await streams[i].AnswerAsync((int)calls[i]["id"]!)));
            streams[i].Dispose();
        }

        Assert.Equal(1, connections);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task BodyOverTheLimit_OverHttp2_Is413_AndTheConnectionGoesOn(bool secure)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var site = await Site.StartAsync(server);
        using var client = await McpClient.ConnectAsync(site.Url(secure), handler: Handler(), http: HttpVersion.Version20);

        using var response = await client.PostAsync(client.ToolCall("echo", new string('x', 1_000_000)));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal("still works", await client.CallAsync("echo", "still works"));
        Assert.Equal(1, server.Calls("echo"));
    }

    private static Version Http(int major) => major == 2 ? HttpVersion.Version20 : HttpVersion.Version11;

    private static SocketsHttpHandler Handler()
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        return handler;
    }

    private static string? Text(JsonObject answer) => (string?)answer["result"]?["content"]?[0]?["text"];

    /// <summary>A gateway that listens in the clear and with a certificate made for the occasion.</summary>
    private sealed class Site(GatewayProcess gateway, Uri secure, TempFolder folder) : IAsyncDisposable
    {
        public static async Task<Site> StartAsync(FaultyServer server)
        {
            var folder = new TempFolder();
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
            var now = TimeProvider.System.GetUtcNow();
            using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
            await File.WriteAllTextAsync(folder.File("tls.crt"), certificate.ExportCertificatePem(), TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(folder.File("tls.key"), key.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
            var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
            config["tls"] = new JsonObject { ["cert"] = folder.File("tls.crt"), ["key"] = folder.File("tls.key") };
            config["limits"] = new JsonObject { ["bodySize"] = "64kB" };
            var secure = new Uri($"https://127.0.0.1:{LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture)}");
            return new Site(await GatewayProcess.StartAsync(config, alsoListen: secure), secure, folder);
        }

        public Uri Url(bool overTls) => overTls ? new Uri(secure, "/servers/up/mcp") : gateway.ServerUrl("up");

        public async ValueTask DisposeAsync()
        {
            await gateway.DisposeAsync();
            folder.Dispose();
        }
    }
}
