using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary><c>mooring drain</c> against a running gateway, as a preStop hook uses it, and the signal that follows.</summary>
public sealed class DrainVerbTests
{
    private const int Terminate = 15;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new();

    [Fact]
    public async Task StreamsAndCalls_AreDrained_ThenTheSignalEndsTheProcessAtOnce_AndNothingIsLost()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "2s", grace: "60s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        using var older = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        using var get = await client.OpenAsync();
        await get.FirstIdAsync();
        var resumable = client.ToolCall("hold", "kept");
        using var resumablePost = await client.PostForStreamAsync(resumable);
        await resumablePost.FirstIdAsync();
        var call = older.ToolCall("hold", "finished");
        using var post = await older.PostForStreamAsync(call);

        await using var verb = await StartVerbAsync("--url", gateway.BaseUrl.AbsoluteUri);
        await SaidAsync(verb, "unready: ");
        Assert.Equal("served", await client.CallAsync("echo", "served"));
        Assert.Empty(await get.RestAsync());
        Assert.InRange(get.Retry ?? 0, 1000, 5000);
        Assert.Empty(await resumablePost.RestAsync());
        await SaidAsync(verb, "finishing_calls: ");
        await SaidAsync(verb, "2 sessions, 1 stream, 2 calls under way");
        Assert.False(verb.HasExited, verb.Describe("it did not wait for the calls"));
        server.Release();
        Assert.Equal("finished", (string?)(await post.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        Assert.True(await verb.ExitAsync(Limit, TestContext.Current.CancellationToken) == 0, verb.Describe("the drain"));
        Assert.Contains("nothing was cut off", verb.Output, StringComparison.Ordinal);

        // It waits for its signal, alive, and takes nothing new.
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (await StatusAsync(gateway, "/health"), await StatusAsync(gateway, "/ready")));
        using (var late = await client.PostAsync(client.ToolCall("echo", "late")))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
            Assert.NotNull(late.Headers.RetryAfter);
        }

        // What its servers say meanwhile waits for the client, too.
        var appended = await AppendedAsync(gateway);
        server.Log("said while drained");
        await Wait.UntilAsync(async () => await AppendedAsync(gateway) > appended, () => gateway.Process.Describe("what the server said was not stored"));

        await EndsAtOnceAsync(gateway);
        await gateway.RestartAsync();
        using var rest = await client.OpenAsync(resumablePost.LastEventId);
        Assert.Equal("kept", (string?)(await rest.AnswerAsync((int)resumable["id"]!))["result"]?["content"]?[0]?["text"]);
        using var again = await client.OpenAsync(get.LastEventId);
        Assert.Equal("said while drained", (string?)(await again.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal(2, server.Calls("hold"));
    }

    [Fact]
    public async Task CallOutOfTime_IsCutOffWithAnError_AndTheVerbIsNotFine()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "0s", grace: "1s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        var call = client.ToolCall("hold", "never");
        using var stream = await client.PostForStreamAsync(call);

        await using var verb = await StartVerbAsync("--config", await ConfigForAsync(gateway));

        Assert.True(await verb.ExitAsync(Limit, TestContext.Current.CancellationToken) == 1, verb.Describe("the drain"));
        Assert.Contains("1 call did not finish and was cut off", verb.Errors, StringComparison.Ordinal);
        Assert.Equal("draining", (string?)(await stream.AnswerAsync((int)call["id"]!))["error"]?["data"]?["mooring"]?["reason"]);
        await EndsAtOnceAsync(gateway);
    }

    [Fact]
    public async Task SignalMeanwhile_JoinsTheDrain_AndTheVerbHearsOfItsEnd()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "0s", grace: "60s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        var call = client.ToolCall("hold", "finished");
        using var stream = await client.PostForStreamAsync(call);
        await using var verb = await StartVerbAsync("--url", gateway.BaseUrl.AbsoluteUri);
        await SaidAsync(verb, "finishing_calls: ");

        gateway.Signal(Terminate);
        await Wait.UntilAsync(() => gateway.Process.Errors.Contains("SIGTERM", StringComparison.Ordinal), () => gateway.Process.Describe("the signal was not heard"));
        // A third one joins too.
        var progress = await ProgressAsync(gateway, HttpMethod.Post);
        Assert.Equal(("finishing_calls", 1), ((string?)progress["stage"], (int)progress["calls"]!));
        Assert.False(gateway.Process.HasExited || verb.HasExited, "They did not wait for the call.");
        server.Release();

        Assert.Equal("finished", (string?)(await stream.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        Assert.Equal(0, await gateway.Process.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.True(await verb.ExitAsync(Limit, TestContext.Current.CancellationToken) == 0, verb.Describe("the drain"));
        Assert.Equal(1, Count(gateway.Process.Errors, "Drain: FinishCalls"));
    }

    [Fact]
    public async Task GatewayKilledMeanwhile_TheVerbSaysSo()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "10m", grace: "10m");
        await using var verb = await StartVerbAsync("--url", gateway.BaseUrl.AbsoluteUri);
        await SaidAsync(verb, "unready: ");

        await gateway.KillAsync();

        Assert.True(await verb.ExitAsync(Limit, TestContext.Current.CancellationToken) == 1, verb.Describe("the drain"));
        Assert.Contains("the gateway ended in the stage \"unready\"", verb.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NotDrainedYet_ItCanBeWatched_AndTheEventsEndWithIt()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "3s", grace: "5s");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.BaseUrl, "/admin/api/drain"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var watching = await SseStream.OfAsync(await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken));
        Assert.Null((string?)(await watching.MessageAsync())["stage"]);

        Assert.Equal("unready", (string?)(await ProgressAsync(gateway, HttpMethod.Post))["stage"]);

        var told = await watching.RestAsync();
        Assert.Equal(("drained", true), ((string?)told[^1]["stage"], (bool)told[^1]["done"]!));
        // Nothing changes for three seconds, and still they come.
        Assert.True(told.Count(e => (string?)e["stage"] == "unready") >= 2, string.Join('\n', told));
        await EndsAtOnceAsync(gateway);
    }

    [Theory]
    [InlineData("Origin", "http://127.0.0.1")]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Host", "evil.example")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    public async Task WebPageOrForwardedRequest_IsRefused_AndNothingIsDrained(string header, string value)
    {
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config());
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseUrl, "/admin/api/drain"));
        request.Headers.TryAddWithoutValidation(header, value);

        using var response = await Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.Forbidden, "application/json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, "/ready"));
        Assert.Null((string?)(await ProgressAsync(gateway, HttpMethod.Get))["stage"]);
    }

    [Fact]
    public async Task NobodyThere_IsUnreachable()
    {
        var port = LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture);
        await using var verb = await StartVerbAsync("--url", $"http://127.0.0.1:{port}");

        Assert.Equal(3, await verb.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Contains($"cannot reach a gateway at http://127.0.0.1:{port}", verb.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", verb.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--url", "nowhere")]
    [InlineData("--config", "/there/is/no/such/file.json")]
    [InlineData("now", "please")]
    public async Task WrongUsage_IsSaid(string option, string value)
    {
        await using var verb = await StartVerbAsync(option, value);

        Assert.Equal(2, await verb.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Contains(value, verb.Errors, StringComparison.Ordinal);
    }

    internal static Task<GatewayProcess> StartAsync(FaultyServer server, string delay, string grace)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["drain"] = new JsonObject { ["delay"] = delay, ["grace"] = grace };
        return GatewayProcess.StartAsync(config);
    }

    private static async Task<ToolProcess> StartVerbAsync(params string[] arguments) =>
        ToolProcess.Start(await GatewayBinary.PathAsync(), ["drain", .. arguments]);

    /// <summary>The gateway under test has its address from the command line; a deployment has it in the file.</summary>
    private static async Task<string> ConfigForAsync(GatewayProcess gateway)
    {
        var config = JsonNode.Parse(await File.ReadAllTextAsync(gateway.ConfigFile, TestContext.Current.CancellationToken))!;
        config["listen"] = new JsonArray($"http://*:{gateway.Port.ToString(CultureInfo.InvariantCulture)}");
        config["auth"] = new JsonObject { ["allowAnonymous"] = true };
        var file = Path.Combine(Path.GetDirectoryName(gateway.ConfigFile)!, "listening.json");
        await File.WriteAllTextAsync(file, config.ToJsonString(), TestContext.Current.CancellationToken);
        return file;
    }

    private static Task SaidAsync(ToolProcess verb, string text) => Wait.UntilAsync(
        () =>
        {
            Assert.False(verb.HasExited && !verb.Output.Contains(text, StringComparison.Ordinal), verb.Describe($"it never said \"{text}\""));
            return verb.Output.Contains(text, StringComparison.Ordinal);
        },
        () => verb.Describe($"it did not say \"{text}\""));

    private static async Task EndsAtOnceAsync(GatewayProcess gateway)
    {
        var drains = Count(gateway.Process.Errors, "Drain: ");
        gateway.Signal(Terminate);
        Assert.Equal(0, await gateway.Process.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Equal(drains, Count(gateway.Process.Errors, "Drain: "));
    }

    private static async Task<JsonObject> ProgressAsync(GatewayProcess gateway, HttpMethod method)
    {
        using var request = new HttpRequestMessage(method, new Uri(gateway.BaseUrl, "/admin/api/drain"));
        using var response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, response.ToString());
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();
    }

    private static async Task<HttpStatusCode> StatusAsync(GatewayProcess gateway, string path)
    {
        using var response = await Http.GetAsync(new Uri(gateway.BaseUrl, path), TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    /// <summary>How often events were written to the store.</summary>
    private static async Task<double> AppendedAsync(GatewayProcess gateway) =>
        (await Http.GetStringAsync(new Uri(gateway.BaseUrl, "/metrics"), TestContext.Current.CancellationToken)).Split('\n')
            .Where(line => line.StartsWith("mooring_store_duration_seconds_count", StringComparison.Ordinal) && line.Contains("operation=\"append_event", StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    private static int Count(string text, string part) => text.Split(part).Length - 1;
}
