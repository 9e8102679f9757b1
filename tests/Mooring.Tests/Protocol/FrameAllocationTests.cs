using System.Buffers;
using System.Text;
using Mooring.Protocol;
using Mooring.Upstreams.Stateless;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>Forwarding makes no objects of params and results: what it allocates does not grow with the message.</summary>
public sealed class FrameAllocationTests
{
    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"x__echo","arguments":{"items":[$]}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":4711,"result":{"content":[$]}}""")]
    public void ReadAndWrite_LongMessage_AllocatesNoMoreThanAShortOne(string message)
    {
        var few = Encoding.UTF8.GetBytes(message.Replace("$", Items(2), StringComparison.Ordinal));
        var many = Encoding.UTF8.GetBytes(message.Replace("$", Items(2_000), StringComparison.Ordinal));

        Assert.InRange(Allocated(few), 0, 512);

        // Objects of its items would be more than its bytes; a buffer that the pool gave up in between is far less.
        Assert.InRange(Allocated(many), 0, many.Length / 10.0);
    }

    [Fact]
    public void WriteToAServerWithoutSessions_LongMessageOfAClientThatSaysAll_AllocatesNoMoreThanAShortOne()
    {
        const string Call = """
            {"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"x__echo","arguments":{"items":[$]},"_meta":{
                "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}
            """;
        var metadata = new RequestMetadata("{}"u8);
        var few = Encoding.UTF8.GetBytes(Call.Replace("$", Items(2), StringComparison.Ordinal));
        var many = Encoding.UTF8.GetBytes(Call.Replace("$", Items(2_000), StringComparison.Ordinal));

        Assert.InRange(Allocated(few, Write), 0, 512);
        Assert.InRange(Allocated(many, Write), 0, many.Length / 10.0);

        Message Write(Frame frame) => metadata.Put(new Message(frame).Replace(frame.Envelope.Id, 11).Replace(frame.Envelope.Name, "\"echo\""u8.ToArray()), 12, level: null, more: []);
    }

    private static string Items(int count) => string.Join(',', Enumerable.Range(0, count).Select(i => $$"""{"type":"text","text":"item {{i}}"}"""));

    private static double Allocated(byte[] message) => Allocated(message, frame => new Message(frame).Replace(frame.Envelope.Id, 12));

    private static double Allocated(byte[] message, Func<Frame, Message> write)
    {
        const int Rounds = 200;
        var output = new ArrayBufferWriter<byte>(message.Length * 2);
        Forward(message, output, write);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < Rounds; round++)
        {
            Forward(message, output, write);
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Rounds;
    }

    private static void Forward(byte[] message, ArrayBufferWriter<byte> output, Func<Frame, Message> write)
    {
        output.ResetWrittenCount();
        var buffer = ArrayPool<byte>.Shared.Rent(message.Length);
        message.CopyTo(buffer, 0);
        using var frame = FrameReader.Take(buffer, message.Length, pooled: true, FrameLimits.Default, out var fault);
        Assert.Null(fault);
        write(frame!).WriteTo(output);
    }
}
