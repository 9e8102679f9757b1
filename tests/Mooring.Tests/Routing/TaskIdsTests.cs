using System.Text;
using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class TaskIdsTests
{
    [Theory]
    [InlineData("""{"id":1,"result":{"task":{"taskId":"t","status":"working"}}}""", """{"id":1,"result":{"task":{"taskId":"a.t","status":"working"}}}""")]
    [InlineData("""{"id":1,"result":{"taskId":"t"}}""", """{"id":1,"result":{"taskId":"a.t"}}""")]
    [InlineData(
        """{"id":1,"result":{"tasks":[{"x":[{"taskId":"no"}],"taskId":"t"},{"taskId":"u"}]}}""",
        """{"id":1,"result":{"tasks":[{"x":[{"taskId":"no"}],"taskId":"a.t"},{"taskId":"a.u"}]}}""")]
    [InlineData("""{"method":"notifications/tasks/status","params":{"taskId":"t"}}""", """{"method":"notifications/tasks/status","params":{"taskId":"a.t"}}""")]
    [InlineData(
        """{"id":1,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}},"content":[]}}""",
        """{"id":1,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a.t"}},"content":[]}}""")]
    [InlineData(
        """{"method":"elicitation/create","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}""",
        """{"method":"elicitation/create","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a.t"}}}}""")]
    [InlineData("""{"result":{"task":{ "taskId" : "a\"b\u00fc" }}}""", """{"result":{"task":{ "taskId" : "a.a\"bü" }}}""")]
    public void Show_WhereTheProtocolPutsThem_CarriesTheServer(string line, string shown) => Assert.Equal(shown, Show(line));

    [Theory]
    [InlineData("""{"id":1,"result":{"structuredContent":{"taskId":"t","task":{"taskId":"t"}},"content":[{"taskId":"t"}]}}""")]
    [InlineData("""{"id":1,"result":{"structuredContent":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}}""")]
    [InlineData("""{"id":1,"result":{"_meta":{"taskId":"t"}}}""")]
    [InlineData("""{"id":1,"result":{"content":[{"text":"\"taskId\":\"t\""}]}}""")]
    [InlineData("""{"id":1,"result":{"tasks":{"taskId":"t"}}}""")]
    [InlineData("""{"id":1,"result":{"task":{"taskId":7}}}""")]
    [InlineData("""{"id":1,"error":{"data":{"taskId":"t"}}}""")]
    public void Show_Elsewhere_StaysByteForByte(string line) => Assert.Equal(line, Show(line));

    [Theory]
    [InlineData("a.t", "a", "t")]
    [InlineData("a.t.u", "a", "t.u")]
    [InlineData("a.", "a", "")]
    public void Parse_ShownId_IsServerAndItsOwn(string shown, string server, string id) => Assert.Equal((server, id), TaskIds.Parse(shown));

    [Theory]
    [InlineData("t")]
    [InlineData(".t")]
    [InlineData("")]
    public void Parse_NotAShownId_IsNull(string shown) => Assert.Null(TaskIds.Parse(shown));

    private static string Show(string line) => Encoding.UTF8.GetString(TaskIds.Show(Encoding.UTF8.GetBytes(line), "a"));
}
