using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>Reading and changing single values of raw JSON, against the same done on a parsed document.</summary>
public sealed class JsonFieldsTests
{
    private const int Inputs = 5_000;
    private const int Seed = 20_241_105;

    [Fact]
    public void RandomObjects_ReadAndChanged_AgreeWithADocument()
    {
        var random = new Random(Seed);
        for (var i = 0; i < Inputs; i++)
        {
            var node = RandomObject(random, depth: 0);
            var json = Encoding.UTF8.GetBytes(Write(random, node));
            try
            {
                Check(node, json);
            }
            catch (Exception e)
            {
                Assert.Fail($"Input {i} (seed {Seed}): {Encoding.UTF8.GetString(json)}\n{e}");
            }
        }
    }

    [Theory]
    [InlineData("""{"a":1}""", "{}")]
    [InlineData("""{ "a" : 1 , "b":2}""", """{  "b":2}""")]
    [InlineData("""{"b":2 , "a":{"a":[1]} }""", """{"b":2 }""")]
    [InlineData("""{"b":2,"a":1,"c":3}""", """{"b":2,"c":3}""")]
    [InlineData("""{"b":{"a":1}}""", """{"b":{"a":1}}""")]
    [InlineData("""{"a":1,"b":2,"a":3}""", """{"b":2}""")]
    [InlineData("""{"a":1,"a":2}""", "{}")]
    [InlineData("{}", "{}")]
    [InlineData("[1]", "[1]")]
    public void Without_AProperty_LeavesTheOthersAsTheyAre(string json, string without) =>
        Assert.Equal(without, Encoding.UTF8.GetString(JsonFields.Without(Encoding.UTF8.GetBytes(json), "a"u8)));

    private static void Check(JsonObject node, byte[] json)
    {
        foreach (var (key, value) in node)
        {
            var at = JsonFields.Find(json, Encoding.UTF8.GetBytes(key));
            Assert.True(at.IsPresent);
            Same(value, json.AsSpan(at.Start, at.Length));
            Assert.Equal(value is JsonValue v && v.TryGetValue<string>(out var text) ? text : null, JsonFields.String(json, Encoding.UTF8.GetBytes(key)));
            Assert.Equal(value?.GetValueKind() == JsonValueKind.True, JsonFields.IsTrue(json, Encoding.UTF8.GetBytes(key)));
            Assert.Equal(
                value is JsonArray array ? array.Select(e => Compact(e)) : [],
                JsonFields.Elements(json, Encoding.UTF8.GetBytes(key)).Select(e => Compact(JsonNode.Parse(json.AsSpan(e.Start, e.Length)))));
            foreach (var (inner, innerValue) in value as JsonObject ?? [])
            {
                var found = JsonFields.Find(json, Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(inner));
                Same(innerValue, json.AsSpan(found.Start, found.Length));
            }

            var spliced = node.DeepClone().AsObject();
            spliced[key] = JsonNode.Parse("[1,\"ü\"]");
            Same(spliced, JsonFields.Splice(json, at, "[1,\"ü\"]"u8));
        }

        Assert.False(JsonFields.Has(json, "absent"u8));
        var prepended = new JsonObject { ["absent"] = 1 };
        foreach (var (key, value) in node)
        {
            prepended[key] = value?.DeepClone();
        }

        Same(prepended, JsonFields.Prepend(json, "\"absent\":1"u8));

        var flat = json.ToArray();
        Message.Flatten(flat);
        Assert.Equal(-1, flat.AsSpan().IndexOfAny((byte)'\n', (byte)'\r'));
        Same(node, flat);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("1")]
    [InlineData("\"a\"")]
    public void Find_NoObject_IsAbsent(string json)
    {
        Assert.False(JsonFields.Find(Encoding.UTF8.GetBytes(json), "a"u8).IsPresent);
        Assert.Empty(JsonFields.Elements(Encoding.UTF8.GetBytes(json), "a"u8));
    }

    [Fact]
    public void HalfASurrogatePair_IsReadAsReplacementCharacter()
    {
        var json = "{\"a\\ud800\":1,\"b\":\"x\\udc00\\n\\ud83d\\ude00\\u00fc\\\"\"}"u8.ToArray();

        Assert.Equal("x\uFFFD\n😀ü\"", JsonFields.String(json, "b"u8));
        Assert.False(JsonFields.Has(json, "a\uFFFD"u8));
    }

    [Fact]
    public void DeeplyNested_IsReadAnyway()
    {
        var json = Encoding.UTF8.GetBytes("{\"a\":" + new string('[', 500) + new string(']', 500) + ",\"b\":1}");

        Assert.True(JsonFields.Has(json, "b"u8));
        Assert.Single(JsonFields.Elements(json, "a"u8));
    }

    [Fact]
    public void Message_SamePlaceTwice_TheLastCounts_AndNoCopyOfItIsChanged()
    {
        var frame = Frame.Parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"name\":\"n\",\"uri\":\"u\",\"cursor\":\"c\"}}"u8.ToArray());
        ref readonly var envelope = ref frame.Envelope;
        var first = new Message(frame).Replace(envelope.Cursor, "\"C\""u8.ToArray()).Replace(envelope.Uri, "\"U\""u8.ToArray())
            .Replace(envelope.Id, 22).Replace(envelope.Name, "\"N\""u8.ToArray());
        var text = Encoding.UTF8.GetString(first.ToArray());
        var second = first;
        second = second.Replace(envelope.Id, 333).Replace(envelope.Cursor, "\"D\""u8.ToArray()).Replace(new Slice(envelope.Params.Start + 1, 0), "\"x\":0,"u8.ToArray());

        Assert.Equal("{\"jsonrpc\":\"2.0\",\"id\":22,\"method\":\"m\",\"params\":{\"name\":\"N\",\"uri\":\"U\",\"cursor\":\"C\"}}", text);
        Assert.Equal("{\"jsonrpc\":\"2.0\",\"id\":333,\"method\":\"m\",\"params\":{\"x\":0,\"name\":\"N\",\"uri\":\"U\",\"cursor\":\"D\"}}", Encoding.UTF8.GetString(second.ToArray()));
        Assert.Equal(text, Encoding.UTF8.GetString(first.ToArray()));
        Assert.Equal(("N", "333", "D"), (second.Text(envelope.Name), second.Text(envelope.Id), second.Text(envelope.Cursor)));
        Assert.True(first.HasShapeOfFrame);
        Assert.False(second.HasShapeOfFrame);
    }

    [Theory]
    [InlineData(long.MinValue)]
    [InlineData(-10)]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(long.MaxValue)]
    public void Message_Number_IsWrittenWhole(long number)
    {
        var frame = Frame.Parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}"u8.ToArray());

        Assert.Equal($"{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"m\"}}", Encoding.UTF8.GetString(new Message(frame).Replace(frame.Envelope.Id, number).ToArray()));
    }

    private static void Same(JsonNode? expected, ReadOnlySpan<byte> json) => Assert.Equal(Compact(expected), Compact(JsonNode.Parse(json)));

    private static string Compact(JsonNode? node) => node?.ToJsonString() ?? "null";

    private static JsonObject RandomObject(Random random, int depth)
    {
        var node = new JsonObject();
        for (var i = random.Next(depth > 3 ? 1 : 5); i > 0; i--)
        {
            node[random.Next(3) == 0 ? "uri" : ((char)('a' + random.Next(5))).ToString() + (random.Next(4) == 0 ? "ü\"\\" : "")] = RandomValue(random, depth);
        }

        return node;
    }

    private static JsonNode? RandomValue(Random random, int depth) => random.Next(depth > 3 ? 5 : 8) switch
    {
        0 => null,
        1 => JsonValue.Create(random.Next(2) == 0),
        2 => JsonValue.Create(random.Next(-5, 1000)),
        3 or 4 => JsonValue.Create(new string('é', random.Next(4)) + (random.Next(3) == 0 ? "\"\\\r\n😀" : "")),
        5 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => RandomValue(random, depth + 1))]),
        _ => RandomObject(random, depth + 1),
    };

    /// <summary>The same document in an odd spelling: space anywhere, keys escaped here and there.</summary>
    private static string Write(Random random, JsonNode? node)
    {
        string Space() => random.Next(5) == 0 ? new string([.. Enumerable.Range(0, random.Next(3)).Select(_ => " \t\r\n"[random.Next(4)])]) : "";
        string Text(string text) => random.Next(4) == 0
            ? "\"" + string.Concat(text.Select(c => $"\\u{(int)c:X4}")) + "\""
            : Encoding.UTF8.GetString(JsonText.Quote(text));
        return Space() + node switch
        {
            JsonObject o => "{" + Space() + string.Join(",", o.Select(p => Space() + Text(p.Key) + Space() + ":" + Write(random, p.Value))) + "}",
            JsonArray a => "[" + Space() + string.Join(",", a.Select(e => Write(random, e))) + "]",
            JsonValue v when v.TryGetValue<string>(out var text) => Text(text),
            null => "null",
            _ => node.ToJsonString(),
        } + Space();
    }
}
