using System.Text;
using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class ResourceUrisTests
{
    [Theory]
    [InlineData("""{"result":{"contents":[{"uri":"u","text":"u"}]}}""", """{"result":{"contents":[{"uri":"X","text":"u"}]}}""")]
    [InlineData("""{"result":{"content":[{"type":"resource_link","uri":"u"}]}}""", """{"result":{"content":[{"type":"resource_link","uri":"X"}]}}""")]
    [InlineData("""{"result":{"content":[{"resource":{"uri":"u","blob":""}}]}}""", """{"result":{"content":[{"resource":{"uri":"X","blob":""}}]}}""")]
    [InlineData("""{"result":{"messages":[{"content":{"resource":{"uri":"u"}}}]}}""", """{"result":{"messages":[{"content":{"resource":{"uri":"X"}}}]}}""")]
    [InlineData("""{"method":"notifications/resources/updated","params":{"uri":"u"}}""", """{"method":"notifications/resources/updated","params":{"uri":"X"}}""")]
    [InlineData("""{"error":{"code":-32002,"data":{"uri":"u"}}}""", """{"error":{"code":-32002,"data":{"uri":"X"}}}""")]
    [InlineData("""{ "result" : { "contents" : [ { "uri" : "\u0075" } ] } }""", """{ "result" : { "contents" : [ { "uri" : "X" } ] } }""")]
    public void Replace_WhereTheProtocolPutsThem_Changes(string line, string changed) => Assert.Equal(changed, Replace(line));

    [Theory]
    [InlineData("""{"result":{"structuredContent":{"uri":"u","list":[{"uri":"u"}]}}}""")]
    [InlineData("""{"result":{"content":[{"type":"text","text":"u","_meta":{"uri":"u"}}]}}""")]
    [InlineData("""{"method":"notifications/message","params":{"level":"info","data":{"uri":"u"}}}""")]
    [InlineData("""{"params":{"messages":[{"content":{"type":"tool_use","input":{"uri":"u"}}}],"metadata":{"uri":"u"}}}""")]
    [InlineData("""{"params":{"requestedSchema":{"properties":{"uri":"u"}}}}""")]
    [InlineData("""{"result":{"contents":[{"uri":"other"}]}}""")]
    [InlineData("""{"result":{"contents":[{"uri":7}]}}""")]
    public void Replace_WhatOthersSay_StaysByteForByte(string line) => Assert.Equal(line, Replace(line));

    private static string Replace(string line) => Encoding.UTF8.GetString(ResourceUris.Replace(Encoding.UTF8.GetBytes(line), uri => uri == "u" ? "X" : null));
}
