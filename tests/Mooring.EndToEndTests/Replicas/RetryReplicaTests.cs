using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>A client without sessions is asked something by one gateway, and brings the answer to the other.</summary>
public sealed class RetryReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    private const string Version = "2026-07-28";

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AskedByA_RetryAtB_GoesOnWithTheCall_AndWorksOnce()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        var asked = await AskAsync(pair.AtA, id: 1);
        Assert.Equal("input_required", (string?)asked["result"]?["resultType"]);

        var answer = await AskAsync(pair.AtB, id: 2, asked);
        Assert.Equal((2, "Ann"), ((int)answer["id"]!, (string?)answer["result"]?["content"]?[0]?["text"]));

        var used = await AskAsync(pair.AtB, id: 3, asked, HttpStatusCode.BadRequest);
        Assert.Equal(-32602, (int?)used["error"]?["code"]);
        Assert.Equal(1, pair.Server.Calls("ask"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AskedByA_AKilled_RetryAtB_IsOfUnknownOutcome()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        var asked = await AskAsync(pair.AtA, id: 1);

        await ReplicaPair.KillAsync(pair.A);

        var answer = await AskAsync(pair.AtB, id: 2, asked);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(1, pair.Server.Calls("ask"));
    }

    /// <summary>Calls the tool that asks for a name; with <paramref name="asked"/>, brings the answer to what it asked.</summary>
    private static async Task<JsonObject> AskAsync(Uri endpoint, int id, JsonObject? asked = null, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var parameters = new JsonObject
        {
            ["name"] = "ask",
            ["arguments"] = new JsonObject { ["text"] = "" },
            ["_meta"] = new JsonObject
            {
                ["io.modelcontextprotocol/protocolVersion"] = Version,
                ["io.modelcontextprotocol/clientCapabilities"] = new JsonObject { ["elicitation"] = new JsonObject() },
            },
        };
        if (asked?["result"] is { } result)
        {
            parameters["requestState"] = result["requestState"]!.DeepClone();
            parameters["inputResponses"] = new JsonObject
            {
                [result["inputRequests"]!.AsObject().Single().Key] = new JsonObject { ["action"] = "accept", ["content"] = new JsonObject { ["name"] = "Ann" } },
            };
        }

        using var http = new HttpClient { Timeout = SseStream.Limit };
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint)
        {
            Content = new StringContent(new JsonObject { ["jsonrpc"] = "2.0", ["id"] = id, ["method"] = "tools/call", ["params"] = parameters }.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        foreach (var (name, value) in new[] { ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", Version), ("Mcp-Method", "tools/call"), ("Mcp-Name", "ask") })
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(expected, response.StatusCode);
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();
        }

        using var stream = new SseStream(response, await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        return await stream.MessageAsync(message => message["method"] is null);
    }
}
