using System.Buffers;
using System.Text;
using Mooring.Protocol;
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

    private static string Items(int count) => string.Join(',', Enumerable.Range(0, count).Select(i => $$"""{"type":"text","text":"item {{i}}"}"""));

    private static double Allocated(byte[] message)
    {
        const int Rounds = 200;
        var output = new ArrayBufferWriter<byte>(message.Length * 2);
        Forward(message, output);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < Rounds; round++)
        {
            Forward(message, output);
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Rounds;
    }

    private static void Forward(byte[] message, ArrayBufferWriter<byte> output)
    {
        output.ResetWrittenCount();
        var buffer = ArrayPool<byte>.Shared.Rent(message.Length);
        message.CopyTo(buffer, 0);
        using var frame = FrameReader.Take(buffer, message.Length, pooled: true, FrameLimits.Default, out var fault);
        Assert.Null(fault);
        new Message(frame!).Replace(frame!.Envelope.Id, 12).WriteTo(output);
    }
}
