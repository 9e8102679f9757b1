using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>Random messages against a reader that is slow and plain enough to be seen to be right.</summary>
public sealed class FrameReaderFuzzTests
{
    private const int Inputs = 120_000;
    private const int Seed = 20_250_618;
    private const int Depth = 64;

    [Fact]
    public void Read_RandomMessages_AgreesWithThePlainReader()
    {
        var random = new Random(Seed);
        var messages = new RandomMessages(random);
        var good = 0;
        for (var i = 0; i < Inputs; i++)
        {
            var json = messages.Next();
            var plain = PlainFrameReader.Read(json, Depth);
            try
            {
                var fault = FrameReader.Read(json, new FrameLimits(Depth), out var envelope);
                if (plain.Refusal is null)
                {
                    Assert.Null(fault);
                    good++;
                    SameEnvelope(plain, envelope);
                    Splices(random, json, plain);
                    Pairs(random, json, plain);
                }
                else
                {
                    SameRefusal(json, plain, fault);
                }
            }
            catch (Exception e)
            {
                Assert.Fail($"Input {i} (seed {Seed}): {Encoding.UTF8.GetString(json)}\n{Convert.ToHexString(json)}\n{e}");
            }
        }

        // What is mostly refused would try the rest only by name.
        Assert.InRange(good, Inputs / 4, Inputs * 3 / 4);
    }

    private static void SameEnvelope(PlainFrameReader plain, in Envelope envelope)
    {
        Assert.Equal(plain.Kind, envelope.Kind);
        Assert.Equal(plain.IsStateless, envelope.IsStateless);
        Slice At(string key) => plain.Places.GetValueOrDefault(key);
        Assert.Equal(At("id"), envelope.Id);
        Assert.Equal(At("method"), envelope.MethodText);
        Assert.Equal(At("params"), envelope.Params);
        Assert.Equal(At("result"), envelope.Result);
        Assert.Equal(At("error"), envelope.Error);
        Assert.Equal(At("params.name"), envelope.Name);
        Assert.Equal(At("params.uri"), envelope.Uri);
        Assert.Equal(At("params.ref"), envelope.Reference);
        Assert.Equal(At("params._meta"), envelope.Meta);
        Assert.Equal(At("params.progressToken"), envelope.ProgressToken);
        Assert.Equal(At("params._meta.progressToken"), envelope.MetaProgressToken);
        Assert.Equal(At("params.requestId"), envelope.RequestId);
        Assert.Equal(At("params.taskId"), envelope.TaskId);
        Assert.Equal(At("params.cursor"), envelope.Cursor);
        Assert.Equal(At("params.level"), envelope.Level);
        Assert.Equal(At("params.protocolVersion"), envelope.ProtocolVersion);
    }

    private static void SameRefusal(byte[] json, PlainFrameReader plain, FrameFault? fault)
    {
        Assert.NotNull(fault);
        Assert.Contains(fault.Value.Code, plain.Refusal == 0 ? new[] { FrameReader.ParseError, FrameReader.InvalidRequest } : [plain.Refusal!.Value]);
        Assert.NotEmpty(fault.Value.Message);
        if (fault.Value.Id.IsPresent)
        {
            // Only what may be an id is ever echoed.
            var id = json.AsSpan(fault.Value.Id.Start, fault.Value.Id.Length).ToArray();
            using var echoed = System.Text.Json.JsonDocument.Parse(id);
            Assert.True(PlainFrameReader.IsId(echoed.RootElement), $"echoed {Encoding.UTF8.GetString(id)}");
        }
    }

    /// <summary>Up to six values exchanged, in any order: those are the new ones, all others are as they were.</summary>
    private static void Splices(Random random, byte[] json, PlainFrameReader plain)
    {
        var leaves = plain.Places.Where(p => p.Key is not ("params" or "params._meta" or "jsonrpc" or "method" or "result" or "error")).Select(p => p.Key).ToArray();
        random.Shuffle(leaves);
        var message = new Message(Frame.Parse(json));
        var expected = new Dictionary<string, string>();
        foreach (var key in leaves.Take(random.Next(1, 7)))
        {
            if (random.Next(2) == 0)
            {
                var number = random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(63);
                message = message.Replace(plain.Places[key], number);
                expected[key] = number.ToString();
            }
            else
            {
                var text = JsonText.Quote(new string('ä', random.Next(30)) + "\"\\\n\ud83d\ude00");
                message = message.Replace(plain.Places[key], text);
                expected[key] = Encoding.UTF8.GetString(text);
            }
        }

        var written = message.ToArray();
        Assert.Equal(message.Length, written.Length);
        var after = PlainFrameReader.Read(message.ToLine(), Depth);
        Assert.Equal(plain.Places.Keys, after.Places.Keys);
        after = PlainFrameReader.Read(written, Depth);
        foreach (var key in plain.Places.Keys.Where(k => k is not ("params" or "params._meta")))
        {
            Assert.Equal(expected.GetValueOrDefault(key) ?? Text(json, plain.Places[key]), Text(written, after.Places[key]));
        }

        // What lies between the values: the same, byte for byte.
        Assert.Equal(Without(json, plain, expected.Keys), Without(written, after, expected.Keys));
    }

    /// <summary>A client's id and token, exchanged for the gateway's and back.</summary>
    private static void Pairs(Random random, byte[] json, PlainFrameReader plain)
    {
        if (plain.Kind != FrameKind.Request)
        {
            return;
        }

        var request = Frame.Parse(json);
        var minted = random.NextInt64(1, long.MaxValue);
        var sent = Frame.Parse(new Message(request).Replace(request.Envelope.Id, minted).ToArray());
        Assert.True(JsonRpc.TryReadId(sent.Id, out var arrived));
        Assert.Equal(minted, arrived);
        var answer = Frame.Parse(JsonRpc.Result(sent.Id, "{\"id\":1}"u8));
        var back = Frame.Parse(new Message(answer).Replace(answer.Envelope.Id, request.Id.ToArray()).ToArray());
        Assert.True(back.Id.SequenceEqual(request.Id));
    }

    private static string Text(byte[] json, Slice at) => Encoding.UTF8.GetString(json, at.Start, at.Length);

    private static byte[] Without(byte[] json, PlainFrameReader plain, IEnumerable<string> keys)
    {
        var rest = json.ToList();
        foreach (var at in keys.Select(k => plain.Places[k]).OrderByDescending(s => s.Start))
        {
            rest.RemoveRange(at.Start, at.Length);
        }

        return [.. rest];
    }
}
