using System.Text;
using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class ServerListTests
{
    [Fact]
    public void Join_OnePage_StaysByteForByte()
    {
        const string Page = """ { "tools" : [ {"name":"a"} ] , "_meta" : { "x" : 1.0e3 } } """;

        Assert.Equal(Page, Join(ListKind.Tools, Page));
    }

    [Fact]
    public void Join_Pages_HasAllItemsTheFirstPagesOtherFieldsAndNoCursor()
    {
        var joined = Join(
            ListKind.Tools,
            """{"_meta":{"p":1},"nextCursor":"2","tools":[{"name":"a", "x":1},{"name":"b"}]}""",
            """{"tools":[],"nextCursor":"3"}""",
            """{"_meta":{"p":3},"tools":[{"name":"c"}]}""");

        Assert.Equal("""{"_meta":{"p":1},"tools":[{"name":"a", "x":1},{"name":"b"},{"name":"c"}]}""", joined);
    }

    [Theory]
    [InlineData("""{"tools":[{"name":"a"}],"nextCursor":"2"}""", """{"tools":[{"name":"a"},{"name":"b"}]}""")]
    [InlineData("""{"tools":[{"name":"a"}], "nextCursor" : "2" ,"z":{"nextCursor":"kept"}}""", """{"tools":[{"name":"a"},{"name":"b"}], "z":{"nextCursor":"kept"}}""")]
    [InlineData("""{ "nextCursor":"2", "tools":[] }""", """{  "tools":[{"name":"b"}] }""")]
    [InlineData("""{"z":{"a":1,"b":2},"nextCursor":"2","tools":[]}""", """{"z":{"a":1,"b":2},"tools":[{"name":"b"}]}""")]
    public void Join_CursorAnywhere_IsTakenOutCleanly(string first, string expected) =>
        Assert.Equal(expected, Join(ListKind.Tools, first, """{"tools":[{"name":"b"}]}"""));

    [Theory]
    [InlineData("\"ttlMs\":60000,\"cacheScope\":\"public\"", "\"ttlMs\":5000,\"cacheScope\":\"public\"", "\"ttlMs\":5000,\"cacheScope\":\"public\"")]
    [InlineData("\"ttlMs\":5000,\"cacheScope\":\"public\"", "\"ttlMs\":60000,\"cacheScope\":\"private\"", "\"ttlMs\":5000,\"cacheScope\":\"private\"")]
    [InlineData("\"ttlMs\":5000,\"cacheScope\":\"public\"", "\"x\":1", "\"ttlMs\":0,\"cacheScope\":\"private\"")]
    [InlineData("\"x\":1", "\"ttlMs\":5000,\"cacheScope\":\"public\"", "\"x\":1")]
    public void Join_PagesOfDifferentTimesAndScopes_SaysTheLeast(string first, string second, string said) =>
        Assert.Equal(
            $$"""{"tools":[{"name":"a"},{"name":"b"}],{{said}}}""",
            Join(ListKind.Tools, $$"""{"tools":[{"name":"a"}],"nextCursor":"2",{{first}}}""", $$"""{"tools":[{"name":"b"}],{{second}}}"""));

    [Fact]
    public void Join_OnePageWithAnEmptyCursor_HasNone() =>
        Assert.Equal("""{"resources":[]}""", Join(ListKind.Resources, """{"resources":[],"nextCursor":""}"""));

    [Theory]
    [InlineData("tools", """{"tools":[{"x":{"name":"no"},"name":"a\u0062"},{"title":"nameless"},{"name":7},{"name":"c"}]}""", "ab,c")]
    [InlineData("resources", """{"resources":[{"name":"no","uri":"u:1"}]}""", "u:1")]
    [InlineData("resourceTemplates", """{"resourceTemplates":[{"uriTemplate":"u:{x}","name":"n"}]}""", "u:{x}")]
    [InlineData("prompts", """{"prompts":[]}""", "")]
    [InlineData("prompts", """{}""", "")]
    public void Items_AreThoseWithAName(string key, string result, string names) =>
        Assert.Equal(names, string.Join(',', ServerList.Of(ListKinds.Parse(key)!.Value, Encoding.UTF8.GetBytes(result)).Items.Select(i => i.Name)));

    [Fact]
    public void Raw_IsTheItemAsTheServerWroteIt()
    {
        var list = ServerList.Of(ListKind.Tools, """{"tools":[{"name":"a"}, { "name" : "b", "inputSchema":{"$ref":"#"} } ]}"""u8.ToArray());

        Assert.Equal("""{ "name" : "b", "inputSchema":{"$ref":"#"} }""", Encoding.UTF8.GetString(list.Raw(list.Items[1])));
        Assert.Equal(list.Items[1], list.Find("b"));
        Assert.Null(list.Find("c"));
    }

    [Fact]
    public void Hash_IsOfEveryByte()
    {
        var one = ServerList.Of(ListKind.Tools, """{"tools":[]}"""u8.ToArray());

        Assert.Equal(one.Hash, ServerList.Of(ListKind.Tools, """{"tools":[]}"""u8.ToArray()).Hash);
        Assert.NotEqual(one.Hash, ServerList.Of(ListKind.Tools, """{"tools": []}"""u8.ToArray()).Hash);
    }

    private static string Join(ListKind kind, params string[] pages) =>
        Encoding.UTF8.GetString(ServerList.Join(kind, [.. pages.Select(Encoding.UTF8.GetBytes)], asked: 1).Result);
}
