using System.Text;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.Protocol;

/// <summary>Random streams, read in random pieces, against a parser that is slow and plain enough to be seen to be right.</summary>
public sealed class SseReaderFuzzTests
{
    private const int Inputs = 100_000;
    private const int Seed = 20_251_125;

    private static readonly string[] Parts =
    [
        "data: {\"jsonrpc\":\"2.0\"}", "data:", "data", "data: a", "data:  b", "id: 1", "id:", "id", "id: a\0b", "event: message",
        "event: endpoint", "event: other", "event", "retry: 100", "retry: 1x", "retry", ": ping", ":", "unknown: x", "\uFEFF", "ü€😀",
        "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];

    private static readonly string[] Ends = ["\n", "\n", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", ""];

    [Fact]
    public async Task Read_RandomStreamsInRandomPieces_AgreesWithThePlainParser()
    {
        var random = new Random(Seed);
        for (var i = 0; i < Inputs; i++)
        {
            var input = Make(random);
            var limit = random.Next(4) == 0 ? random.Next(3, 200) : 1 << 20;
            var widest = random.Next(1, 64);
            var later = random.Next(8) == 0;
            using var stream = new SplitStream(input, _ => later && random.Next(4) == 0 ? -random.Next(1, widest + 1) : random.Next(1, widest + 1));
            using var reader = new SseReader(stream, limit);

            var expected = PlainParser.Parse(input, limit);
            var actual = new List<string>();
            SseRead read;
            do
            {
                read = await reader.ReadAsync(CancellationToken.None);
                actual.Add(SseReaderTests.Tell(read));
            }
            while (read.Kind is SseReadKind.Event or SseReadKind.Comment or SseReadKind.Retry && actual.Count <= expected.Count);

            Assert.True(
                expected.SequenceEqual(actual, StringComparer.Ordinal),
                $"Input {i} (seed {Seed}), limit {limit}: {Convert.ToHexString(input)}\nexpected {string.Join(" / ", expected)}\nactual   {string.Join(" / ", actual)}");
            Assert.InRange(stream.Reads, 1, input.Length + 1);
        }
    }

    private static byte[] Make(Random random)
    {
        if (random.Next(5) == 0)
        {
            var noise = new byte[random.Next(0, 120)];
            random.NextBytes(noise);
            return noise;
        }

        var text = new StringBuilder(random.Next(6) == 0 ? "\uFEFF" : "");
        for (var lines = random.Next(0, 14); lines > 0; lines--)
        {
            text.Append(Parts[random.Next(Parts.Length)]).Append(Ends[random.Next(Ends.Length)]);
        }

        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        for (var changes = random.Next(3) == 0 ? random.Next(1, 6) : 0; changes > 0 && bytes.Length > 0; changes--)
        {
            var at = random.Next(bytes.Length);
            bytes = random.Next(3) switch
            {
                0 => [.. bytes[..at], .. bytes[(at + 1)..]],
                1 => [.. bytes[..at], "\r\n: \0d"u8[random.Next(6)], .. bytes[at..]],
                _ => [.. bytes[..at], (byte)random.Next(256), .. bytes[(at + 1)..]],
            };
        }

        return bytes;
    }

    /// <summary>The standard's rules over a whole byte array, line by line, with strings in Latin-1 so that every byte stays itself.</summary>
    private static class PlainParser
    {
        public static List<string> Parse(byte[] input, int limit)
        {
            var told = new List<string>();
            var text = Encoding.Latin1.GetString(input);
            text = text.StartsWith("\xEF\xBB\xBF", StringComparison.Ordinal) ? text[3..] : text;
            var (open, size) = (false, 0);
            string? data = null, id = null, retry = null;
            var type = "message";
            while (text.Length > 0)
            {
                var at = text.IndexOfAny(['\r', '\n']);
                if (at < 0)
                {
                    told.Add(size + text.Length > limit ? "TooLarge" : "CutMidEvent" + retry);
                    return told;
                }

                var line = text[..at];
                text = text[(text[at..].StartsWith("\r\n", StringComparison.Ordinal) ? at + 2 : at + 1)..];
                if (line.Length == 0)
                {
                    if (data is not null || id is not null)
                    {
                        told.Add($"{Decode(type)} {Decode(data ?? "").Replace('\n', '|')}{(id is null ? "" : " #" + Decode(id))}{retry}");
                    }
                    else if (retry is not null)
                    {
                        told.Add("Retry" + retry);
                    }

                    (open, size, data, id, retry, type) = (false, 0, null, null, null, "message");
                    continue;
                }

                size += line.Length + 1;
                if (size > limit)
                {
                    told.Add("TooLarge");
                    return told;
                }

                if (line[0] == ':')
                {
                    told.Add("Comment");
                    size = open ? size : 0;
                    continue;
                }

                open = true;
                var parts = line.Split(':', 2);
                var value = parts.Length == 1 ? "" : parts[1].StartsWith(' ') ? parts[1][1..] : parts[1];
                switch (parts[0])
                {
                    case "data":
                        data = data is null ? value : data + "\n" + value;
                        break;
                    case "event":
                        type = value.Length == 0 ? "message" : value;
                        break;
                    case "id" when !value.Contains('\0'):
                        id = value;
                        break;
                    case "retry" when value.Length > 0 && value.All(char.IsAsciiDigit):
                        retry = $" ~{System.Numerics.BigInteger.Min(System.Numerics.BigInteger.Parse(value), int.MaxValue)}";
                        break;
                    default:
                        break;
                }
            }

            told.Add(open ? "CutMidEvent" + retry : "End");
            return told;
        }

        private static string Decode(string latin) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(latin));
    }
}
