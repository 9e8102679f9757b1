using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>What a client of an older version cannot read is said in words that it knows; everything else stays byte for byte.</summary>
public sealed class OlderClientsTests
{
    private const string Audio = """{"type":"audio","data":"AAAA","mimeType":"audio/wav"}""";

    private const string AudioText = """{"type":"text","text":"[Audio (audio/wav) that this client cannot take.]"}""";

    private const string Link = """{"type":"resource_link","uri":"file:///a.txt","name":"a","title":"The a","mimeType":"text/plain","description":"Of \"all\"."}""";

    private const string LinkText = """{"type":"text","text":"[Resource The a: file:///a.txt (text/plain)] Of \"all\"."}""";

    private const string Text = """{ "type" : "text", "text":"x", "_meta": {"a":1} }""";

    [Theory]
    [InlineData("2024-11-05", AudioText, LinkText)]
    [InlineData("2025-03-26", Audio, LinkText)]
    [InlineData("2025-06-18", Audio, Link)]
    [InlineData("2025-11-25", Audio, Link)]
    [InlineData("2026-07-28", Audio, Link)]
    public void Content_OfLaterKinds_IsTextForWhoDoesNotKnowThem(string version, string audio, string link)
    {
        Assert.Equal(
            Result($$"""{ "content": [{{Text}}, {{audio}},{{link}} ,{{Text}}], "isError":false, "resultType":"complete" }"""),
            Answer(version, McpMethod.ToolsCall, Result($$"""{ "content": [{{Text}}, {{Audio}},{{Link}} ,{{Text}}], "isError":false, "resultType":"complete" }""")));
        Assert.Equal(
            Result($$"""{"messages":[{"role":"user","content":{{audio}}},{"role":"user"},{"content":{{link}} }]}"""),
            Answer(version, McpMethod.PromptsGet, Result($$"""{"messages":[{"role":"user","content":{{Audio}}},{"role":"user"},{"content":{{Link}} }]}""")));
    }

    [Theory]
    [InlineData("""{"content":[{"type":"text","text":"[1]"}],"structuredContent":[1]}""", """{"content":[{"type":"text","text":"[1]"}]}""")]
    [InlineData("""{"content":[],"structuredContent":["a\"b"],"x":1}""", """{"content":[{"type":"text","text":"[\"a\\\"b\"]"}],"x":1}""")]
    [InlineData("""{"structuredContent":null}""", """{"content":[{"type":"text","text":"null"}]}""")]
    [InlineData("""{"content":[],"structuredContent":{"a":[1]}}""", null)]
    [InlineData("""{"content":[{"type":"text","text":"structuredContent"}]}""", null)]
    public void StructuredResult_ThatIsNoObject_IsTextForWhoKnowsOnlyObjects(string result, string? older)
    {
        foreach (var version in new[] { "2025-06-18", "2025-11-25" })
        {
            Assert.Equal(Result(older ?? result), Answer(version, McpMethod.ToolsCall, Result(result)));
        }

        foreach (var version in new[] { "2024-11-05", "2025-03-26", "2026-07-28" })
        {
            Assert.Equal(Result(result), Answer(version, McpMethod.ToolsCall, Result(result)));
        }
    }

    [Theory]
    [InlineData("""{"name":"a","outputSchema":{"type":"array"},"inputSchema":{}}""", """{"name":"a","inputSchema":{}}""")]
    [InlineData("""{"name":"a","outputSchema":{"anyOf":[]}}""", """{"name":"a"}""")]
    [InlineData("""{"name":"a","outputSchema":{"type":"object"}}""", null)]
    [InlineData("""{"name":"outputSchema"}""", null)]
    public void OutputSchema_ThatDescribesNoObject_IsLeftOut(string tool, string? older) =>
        Assert.Equal(older, OlderClients.Tool(Encoding.UTF8.GetBytes(tool)) is { } changed ? Encoding.UTF8.GetString(changed) : null);

    [Theory]
    [InlineData("2024-11-05", AudioText)]
    [InlineData("2025-03-26", Audio)]
    public void Sampling_WithAudio_IsTextForWhoDoesNotKnowIt(string version, string audio)
    {
        string Request(string content) => $$$"""{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{{{content}}}}],"maxTokens":1}}""";
        var request = Frame.Parse(Encoding.UTF8.GetBytes(Request(Audio)));

        Assert.Equal(Request(audio), Encoding.UTF8.GetString(OlderClients.Question(Version(version), request) ?? request.Bytes.ToArray()));
    }

    [Theory]
    [InlineData("2024-11-05", true)]
    [InlineData("2025-03-26", true)]
    [InlineData("2025-06-18", true)]
    [InlineData("2025-11-25", false)]
    [InlineData("2026-07-28", false)]
    public void Sampling_WithSeveralBlocksAndTools_IsOneTextEachForWhoDoesNotKnowThem(string version, bool changes)
    {
        const string Call = """{"type":"tool_use","id":"c","name":"add","input":{"a":1}}""";
        const string Given = """{"type":"tool_result","toolUseId":"c","content":[{"type":"text","text":"2"},{"type":"image","data":"AAAA","mimeType":"image/png"}]}""";
        const string CallText = """{"type":"text","text":"[Call of the tool add: {\"a\":1}]"}""";
        const string GivenText = """{"type":"text","text":"[Result of a tool: 2\n(image)]"}""";
        string Request(string messages) => $$$"""{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[{{{messages}}}],"maxTokens":1}}""";
        var request = Request($$$"""{"role":"user","content":{{{Text}}}},{"role":"assistant","content":[{{{Text}}}, {{{Call}}}],"_meta":{}},{"role":"user","content":{{{Given}}}},{"role":"user","content":[]},{"role":"user"}""");
        var older = Request(
            $$$"""{"role":"user","content":{{{Text}}}},{"role":"assistant","content":{{{Text}}},"_meta":{}},{"role":"assistant","content":{{{CallText}}},"_meta":{}},{"role":"user","content":{{{GivenText}}}},"""
            + """{"role":"user","content":{"type":"text","text":""}},{"role":"user"}""");

        var frame = Frame.Parse(Encoding.UTF8.GetBytes(request));
        var said = Encoding.UTF8.GetString(OlderClients.Question(Version(version), frame) ?? frame.Bytes.ToArray());

        Assert.True(System.Text.Json.Nodes.JsonNode.DeepEquals(System.Text.Json.Nodes.JsonNode.Parse(changes ? older : request), System.Text.Json.Nodes.JsonNode.Parse(said)), said);
        Assert.False(OlderClients.CannotBeAsked(Version(version), frame));
    }

    [Theory]
    [InlineData("tools", "[]", true)]
    [InlineData("toolChoice", "{}", true)]
    [InlineData("temperature", "1", false)]
    public void Sampling_WithToolsToCall_CannotBeAskedOfWhoCannotDeclareThem(string property, string value, bool cannot)
    {
        var request = Frame.Parse(Encoding.UTF8.GetBytes($$$"""{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"{{{property}}}":{{{value}}}}}"""));

        Assert.Equal(cannot, OlderClients.CannotBeAsked(ProtocolVersion.V2025_06_18, request));
        Assert.False(OlderClients.CannotBeAsked(ProtocolVersion.V2025_11_25, request));
    }

    [Fact]
    public void Answer_OfAnotherMethodOrAnError_StaysAsItIs()
    {
        Assert.Null(OlderClients.Answer(ProtocolVersion.V2024_11_05, McpMethod.ResourcesRead, Frame.Parse(Encoding.UTF8.GetBytes(Result($$"""{"content":[{{Audio}}]}""")))));
        Assert.Null(OlderClients.Answer(ProtocolVersion.V2024_11_05, McpMethod.ToolsCall, Frame.Parse("""{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"audio"}}"""u8.ToArray())));
    }

    private static string Answer(string version, McpMethod method, string message)
    {
        var answer = Frame.Parse(Encoding.UTF8.GetBytes(message));
        return Encoding.UTF8.GetString(OlderClients.Answer(Version(version), method, answer) ?? answer.Bytes.ToArray());
    }

    private static ProtocolVersion Version(string text) => ProtocolVersions.TryParse(text, out var version) ? version : throw new ArgumentException(text);

    private static string Result(string result) => $$"""{"jsonrpc":"2.0","id":1,"result":{{result}}}""";
}
