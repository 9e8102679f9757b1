using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>Each rule of the frame reader by itself: what is refused, with which code, naming what, and echoing which id.</summary>
public sealed class FrameReaderTests
{
    private static readonly string LongId = new('i', 1022);

    [Theory]
    // Not JSON
    [InlineData("", -32700, "Not valid JSON", "")]
    [InlineData("   ", -32700, "Not valid JSON", "")]
    [InlineData("{", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",}", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"} {}", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}x", -32700, "Not valid JSON", "")]
    [InlineData("{/**/\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"a\"}", -32700, "Not valid JSON", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"a\"}", -32700, "line 1, byte", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\n\"id\":'1'}", -32700, "line 2, byte 5", "")]
    [InlineData("\uFEFF{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", -32700, "Not valid JSON", "")]
    // Not an object
    [InlineData("[]", -32600, "must be a JSON object", "")]
    [InlineData("1", -32600, "must be a JSON object", "")]
    [InlineData("\"a\"", -32600, "must be a JSON object", "")]
    [InlineData("null", -32600, "must be a JSON object", "")]
    // jsonrpc
    [InlineData("{}", -32600, "\"jsonrpc\" must be", "")]
    [InlineData("{\"id\":1,\"method\":\"a\"}", -32600, "\"jsonrpc\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"a\"}", -32600, "\"jsonrpc\" must be", "\"x\"")]
    [InlineData("{\"jsonrpc\":2.0,\"id\":1.5,\"method\":\"a\"}", -32600, "\"jsonrpc\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", -32600, "\"jsonrpc\" stands twice", "")]
    // id
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"a\"}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}", -32600, "\"id\" must be", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"a\"}", -32600, "\"id\" stands twice", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"\\u0069d\":\"1\",\"method\":\"a\"}", -32600, "\"id\" stands twice", "")]
    // method and params
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600, "\"method\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", -32600, "\"method\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", -32600, "\"method\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\":\"b\"}", -32600, "\"method\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"a\",\"method\":\"b\"}", -32600, "\"method\" stands twice", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":[]}", -32600, "\"params\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":null}", -32600, "\"params\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{},\"params\":{}}", -32600, "\"params\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"name\":\"x\",\"n\\u0061me\":\"y\"}}", -32600, "\"name\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"uri\":\"x\",\"uri\":\"x\"}}", -32600, "\"uri\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"_meta\":{},\"_meta\":{\"a\":[1]}}}", -32600, "\"_meta\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"_meta\":{\"progressToken\":1,\"progressToken\":2}}}", -32600, "stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{\"requestId\":1,\"requestId\":2}}", -32600, "\"requestId\" stands twice", "")]
    // names in another case, which many libraries read as the names
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"Method\":\"tools/call\"}", -32600, "\"method\" is written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"PARAMS\":{}}", -32600, "\"params\" is written in another case", "1")]
    [InlineData("{\"JsonRpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", -32600, "\"jsonrpc\" is written in another case", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"param\u017F\":{}}", -32600, "\"params\" is written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"Name\":\"x\"}}", -32600, "written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":{\"name\":\"x\",\"N\\u0061me\":\"y\"},\"method\":\"tools/call\"}", -32600, "written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\",\"Arguments\":{}}}", -32600, "written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"x\",\"URI\":\"y\"}}", -32600, "written in another case", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tasks/cancel\",\"params\":{\"ta\u017F\u212AId\":\"x\"}}", -32600, "written in another case", "1")]
    // requests that nobody could answer
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}", -32600, "needs an \"id\"", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"sampling/createMessage\",\"params\":{}}", -32600, "needs an \"id\"", "")]
    // responses
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600, "exactly one of", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{\"code\":1,\"message\":\"\"}}", -32600, "exactly one of", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"result\":{}}", -32600, "neither", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"error\":{\"code\":1,\"message\":\"\"}}", -32600, "neither", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"result\":{}}", -32600, "needs the \"id\"", "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}", -32600, "\"result\" must be an object", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}", -32600, "\"result\" must be an object", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"result\":{}}", -32600, "\"result\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{},\"error\":{}}", -32600, "\"error\" stands twice", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"no\"}", -32600, "\"error\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":\"1\",\"message\":\"m\"}}", -32600, "\"error\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1.5,\"message\":\"m\"}}", -32600, "\"error\" must be", "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1}}", -32600, "\"error\" must be", "1")]
    public void Read_NoMessage_SaysWhatIsWrong(string json, int code, string names, string id)
    {
        var bytes = Encoding.UTF8.GetBytes(json);

        var fault = FrameReader.Read(bytes, FrameLimits.Default, out _);

        Assert.NotNull(fault);
        Assert.Equal(code, fault.Value.Code);
        Assert.Contains(names, fault.Value.Message, StringComparison.Ordinal);
        Assert.Equal(id, Encoding.UTF8.GetString(bytes, fault.Value.Id.Start, fault.Value.Id.Length));
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}", nameof(FrameKind.Request), nameof(McpMethod.ToolsCall), "1")]
    [InlineData(" \r\n\t{ \"jsonrpc\" : \"2.0\" , \"method\" : \"ping\" , \"id\" : \"\" } \n", nameof(FrameKind.Request), nameof(McpMethod.Ping), "\"\"")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901234567890,\"method\":\"x/y\"}", nameof(FrameKind.Request), nameof(McpMethod.Other), "123456789012345678901234567890")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":-0,\"method\":\"tools\\/list\"}", nameof(FrameKind.Request), nameof(McpMethod.ToolsList), "-0")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":\"\\u0031\",\"method\":\"\\u0070ing\"}", nameof(FrameKind.Request), nameof(McpMethod.Ping), "\"\\u0031\"")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":\"\\ud800\",\"method\":\"ping\\udfff\"}", nameof(FrameKind.Request), nameof(McpMethod.Other), "\"\\ud800\"")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"i\\ud800\":1,\"method\":\"ping\",\"id\":2,\"params\":{\"nam\\udfff\":1}}", nameof(FrameKind.Request), nameof(McpMethod.Ping), "2")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}", nameof(FrameKind.Notification), nameof(McpMethod.Cancelled), "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":1},\"x\":1,\"x\":2}", nameof(FrameKind.Result), nameof(McpMethod.None), "1")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"message\":\"m\",\"code\":-1}}", nameof(FrameKind.Error), nameof(McpMethod.None), "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"error\":{\"message\":\"m\",\"code\":-1}}", nameof(FrameKind.Error), nameof(McpMethod.None), "")]
    public void Read_Message_IsClassified(string json, string kind, string method, string id)
    {
        var frame = Frame.Parse(Encoding.UTF8.GetBytes(json));

        Assert.Equal(kind, frame.Kind.ToString());
        Assert.Equal(method, frame.Method.ToString());
        Assert.Equal(id, Encoding.UTF8.GetString(frame.Id));
    }

    [Fact]
    public void Read_LongId_IsTakenUpTo1024Bytes()
    {
        Assert.Null(FrameReader.Read(WithId(LongId), FrameLimits.Default, out _));

        var fault = FrameReader.Read(WithId(LongId + "i"), FrameLimits.Default, out _);

        Assert.Contains("at most 1024 bytes", fault!.Value.Message, StringComparison.Ordinal);
        Assert.False(fault.Value.Id.IsPresent);
    }

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{\"a\":", "}")]
    [InlineData("[{\"a\":", "}]")]
    public void Read_Depth_IsTakenUpToTheLimit(string open, string close)
    {
        // Message and params are two levels of the 64.
        byte[] At(int levels)
        {
            var text = new StringBuilder();
            var opened = new Stack<char>();
            for (var i = 0; opened.Count < levels - 2; i++)
            {
                var c = open[i % open.Length];
                text.Append(c);
                if (c is '[' or '{')
                {
                    opened.Push(c);
                }
            }

            text.Append(opened.Peek() == '{' ? "\"a\":1" : "1");
            foreach (var c in opened)
            {
                text.Append(c == '[' ? ']' : '}');
            }

            Assert.Contains(close[0].ToString(), text.ToString(), StringComparison.Ordinal);
            return Encoding.UTF8.GetBytes("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{\"x\":" + text + "}}");
        }

        Assert.Null(FrameReader.Read(At(64), FrameLimits.Default, out _));

        var fault = FrameReader.Read(At(65), FrameLimits.Default, out _);

        Assert.Equal(FrameReader.InvalidRequest, fault!.Value.Code);
        Assert.Equal("The message is nested deeper than 64 levels.", fault.Value.Message);
        Assert.Equal(1, fault.Value.Id.Length);
    }

    [Fact]
    public void Read_BadJsonAtTheDepthLimit_IsNotCalledTooDeep()
    {
        var json = Encoding.UTF8.GetBytes("{\"jsonrpc\":\"2.0\",\"id\":7,\"x\":" + new string('[', 63) + "?");

        Assert.Equal(FrameReader.ParseError, FrameReader.Read(json, FrameLimits.Default, out _)!.Value.Code);
    }

    [Theory]
    [InlineData("C328")]
    [InlineData("EDA080")]
    [InlineData("C0AF")]
    [InlineData("F5808080")]
    [InlineData("80")]
    public void Read_InvalidUtf8InAString_IsRefused(string hex)
    {
        byte[] json = [.. "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"x\":\""u8, .. Convert.FromHexString(hex), .. "\"}}"u8];

        var fault = FrameReader.Read(json, FrameLimits.Default, out _);

        Assert.Equal(FrameReader.ParseError, fault!.Value.Code);
        Assert.Equal("The message is not valid UTF-8.", fault.Value.Message);
    }

    [Fact]
    public void Take_BadMessage_LeavesTheIdToBeRead()
    {
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(128);
        var length = "{\"jsonrpc\":\"2.0\",\"id\":\"mine\",\"method\":5}"u8.Length;
        "{\"jsonrpc\":\"2.0\",\"id\":\"mine\",\"method\":5}"u8.CopyTo(buffer);

        Assert.Null(FrameReader.Take(buffer, length, pooled: true, FrameLimits.Default, out var fault));
        // Whoever rents next would write over the id that is still to be echoed.
        var other = System.Buffers.ArrayPool<byte>.Shared.Rent(128);
        other.AsSpan().Clear();

        Assert.Equal("\"mine\"", Encoding.UTF8.GetString(buffer, fault!.Value.Id.Start, fault.Value.Id.Length));
    }

    [Theory]
    [InlineData("[]", "The batch is empty.", -32600)]
    [InlineData("[1,2,3,4]", "The batch has more than 3 messages.", -32600)]
    [InlineData("[1,2", "Not valid JSON", -32700)]
    [InlineData("[1,]", "Not valid JSON", -32700)]
    [InlineData("[1] x", "Not valid JSON", -32700)]
    public void SplitBatch_NoBatch_SaysWhatIsWrong(string json, string names, int code)
    {
        Assert.Null(FrameReader.SplitBatch(Encoding.UTF8.GetBytes(json), FrameLimits.Default, limit: 3, out var fault));
        Assert.Contains(names, fault!.Value.Message, StringComparison.Ordinal);
        Assert.Equal(code, fault.Value.Code);
    }

    [Fact]
    public void SplitBatch_Batch_FindsEachElement()
    {
        var json = " [ {\"a\":[1]} ,2,\"x,]\" ] "u8.ToArray();

        Assert.True(FrameReader.IsBatch(json));
        var slices = FrameReader.SplitBatch(json, FrameLimits.Default, limit: 3, out _)!;

        Assert.Equal(["{\"a\":[1]}", "2", "\"x,]\""], slices.Select(s => Encoding.UTF8.GetString(json, s.Start, s.Length)));
    }

    private static byte[] WithId(string id) => Encoding.UTF8.GetBytes("{\"jsonrpc\":\"2.0\",\"id\":\"" + id + "\",\"method\":\"m\"}");

    [Theory]
    [InlineData(1022, true)]
    [InlineData(1023, false)]
    public void ProgressToken_LongerThanEachProgressShouldBe_IsNotOne(int length, bool isOne)
    {
        var frame = Frame.Parse(System.Text.Encoding.UTF8.GetBytes($$$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"{{{{new string('x', length)}}}}"}}}"""));

        Assert.Equal(isOne, frame.Envelope.MetaProgressToken.IsPresent);
    }
}
