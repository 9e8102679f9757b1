using System.Text.Json;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>The Inspector's command line in front of the gateway, over both transports.</summary>
[Collection(NodeClients.Name)]
public sealed class InspectorTests
{
    [Theory]
    [InlineData("http")]
    [InlineData("sse")]
    public async Task Inspector_ListsAndCalls_GetsWhatTheServerHas(string transport)
    {
        await using var rig = await Rig.StartAsync(recorded: true, clientTransport: transport);

        var tools = await InspectAsync(rig, transport, "--method", "tools/list");
        var names = tools.GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString());
        Assert.Contains("test_simple_text", names);
        Assert.Contains("json_schema_2020_12_tool", names);

        var call = await InspectAsync(rig, transport, "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "word=hello");
        Assert.Equal(
            "hello",
            call.GetProperty("structuredContent").GetProperty("received").GetProperty("arguments").GetProperty("word").GetString());

        var resources = await InspectAsync(rig, transport, "--method", "resources/list");
        Assert.Equal(17, resources.GetProperty("resources").GetArrayLength());

        var resource = await InspectAsync(rig, transport, "--method", "resources/read", "--uri", "test://static-text");
        Assert.Equal(
            "This is the content of the static text resource.",
            resource.GetProperty("contents")[0].GetProperty("text").GetString());

        var prompt = await InspectAsync(
            rig, transport, "--method", "prompts/get", "--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=a", "arg2=b");
        Assert.Equal(
            "Prompt with arguments: arg1='a', arg2='b'",
            prompt.GetProperty("messages")[0].GetProperty("content").GetProperty("text").GetString());

        await rig.AssertEveryMessageValidAsync();
    }

    private static Task<JsonElement> InspectAsync(Rig rig, string transport, params string[] arguments) =>
        Inspector.RunAsync(rig.ClientUrl, transport, rig.Gateway, arguments);
}
