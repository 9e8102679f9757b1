using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class JsonFieldsTests
{
    [Theory]
    [InlineData("""{"a":1,"b":{"a":2}}""", "a", "1")]
    [InlineData("""{"b":{"a":2},"a":[1,{"a":3}]}""", "a", """[1,{"a":3}]""")]
    [InlineData("""{ "\u0061" : "x" }""", "a", "\"x\"")]
    [InlineData("""{"a":null}""", "a", "null")]
    [InlineData("""{"a":1,"a":2}""", "a", "1")]
    public void Find_TopLevelKey_IsItsValueAsWritten(string json, string key, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        var at = JsonFields.Find(bytes, Encoding.UTF8.GetBytes(key));

        Assert.Equal(value, Encoding.UTF8.GetString(bytes.AsSpan(at.Start, at.Length)));
    }

    [Theory]
    [InlineData("""{"b":{"a":2}}""")]
    [InlineData("""[{"a":1}]""")]
    [InlineData("""{}""")]
    [InlineData("1")]
    [InlineData("")]
    public void Find_NoSuchKey_IsAbsent(string json) => Assert.False(JsonFields.Find(Encoding.UTF8.GetBytes(json), "a"u8).IsPresent);

    [Theory]
    [InlineData("""{"a":{"b":7}}""", true)]
    [InlineData("""{"a":{"c":{"b":7}}}""", false)]
    [InlineData("""{"a":7}""", false)]
    [InlineData("""{"b":7}""", false)]
    public void Find_OneObjectFurtherIn(string json, bool there)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        var at = JsonFields.Find(bytes, "a"u8, "b"u8);

        Assert.Equal(there, at.IsPresent);
        Assert.True(!there || bytes[at.Start] == '7');
    }

    [Fact]
    public void String_OtherThanAString_IsNull()
    {
        Assert.Equal("x\"y", JsonFields.String("""{"a":"x\"y"}"""u8, "a"u8));
        Assert.Null(JsonFields.String("""{"a":7}"""u8, "a"u8));
        Assert.Null(JsonFields.String("""{"a":null}"""u8, "a"u8));
    }

    [Fact]
    public void IsTrue_OnlyTrueItself()
    {
        Assert.True(JsonFields.IsTrue("""{"a":true}"""u8, "a"u8));
        Assert.False(JsonFields.IsTrue("""{"a":false}"""u8, "a"u8));
        Assert.False(JsonFields.IsTrue("""{"a":"true"}"""u8, "a"u8));
    }

    [Fact]
    public void Elements_OfAnArray_AreAsWritten()
    {
        var json = """{"x":0,"a":[ 1 , {"a":[2]},"]", [] ]}"""u8.ToArray();

        Assert.Equal(["1", """{"a":[2]}""", "\"]\"", "[]"], JsonFields.Elements(json, "a"u8).Select(at => Encoding.UTF8.GetString(json.AsSpan(at.Start, at.Length))));
        Assert.Empty(JsonFields.Elements(json, "x"u8));
        Assert.Empty(JsonFields.Elements(json, "y"u8));
    }

    [Fact]
    public void Splice_ReplacesOneValueOnly()
    {
        var json = """{ "a" : 1 , "b" : 1 }"""u8.ToArray();

        Assert.Equal("""{ "a" : "long" , "b" : 1 }""", Encoding.UTF8.GetString(JsonFields.Splice(json, JsonFields.Find(json, "a"u8), "\"long\""u8)));
    }

    [Theory]
    [InlineData("""{"a":1}""", """{"n":0,"a":1}""")]
    [InlineData("""{}""", """{"n":0}""")]
    [InlineData("{ \n }", "{\"n\":0 \n }")]
    public void Prepend_PutsAPropertyAtTheHead(string json, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(JsonFields.Prepend(Encoding.UTF8.GetBytes(json), "\"n\":0"u8)));
}
