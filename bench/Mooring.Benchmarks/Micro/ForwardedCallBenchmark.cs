using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;

namespace Mooring.Benchmarks.Micro;

/// <summary>
/// What it takes to turn a client's tools/call into the upstream's: another id, the tool's name without its prefix, all else untouched.
/// The two ways a gateway can go, as marks to hold its own frames against: everything as objects, and bytes cut and joined.
/// </summary>
[MemoryDiagnoser]
public class ForwardedCallBenchmark
{
    private const string UpstreamName = "echo";
    private const long UpstreamId = 4711;

    private readonly ArrayBufferWriter<byte> _output = new(64 << 10);
    private byte[] _call = [];

    /// <summary>Bytes of padding in the arguments.</summary>
    [Params(80, 8_000)]
    public int Padding { get; set; }

    [GlobalSetup]
    public void Setup() => _call = Encoding.UTF8.GetBytes(
        $$$$"""{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"bench__echo","arguments":{"text":"hello","padding":"{{{{new string('p', Padding)}}}}"},"_meta":{"progressToken":7}}}""");

    /// <summary>Parse, change, write.</summary>
    [Benchmark(Baseline = true)]
    public int AsObjects()
    {
        _output.ResetWrittenCount();
        var message = JsonNode.Parse(_call)!;
        message["id"] = UpstreamId;
        message["params"]!["name"] = UpstreamName;
        using var writer = new Utf8JsonWriter(_output);
        message.WriteTo(writer);
        writer.Flush();
        return _output.WrittenCount;
    }

    /// <summary>Find where id and name are, copy what lies between.</summary>
    [Benchmark]
    public int AsBytes()
    {
        _output.ResetWrittenCount();
        var call = _call.AsSpan();
        var reader = new Utf8JsonReader(call);
        var copied = 0;
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            if (reader.CurrentDepth == 1 && reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                _output.Write(call[copied..(int)reader.TokenStartIndex]);
                System.Buffers.Text.Utf8Formatter.TryFormat(UpstreamId, _output.GetSpan(20), out var digits);
                _output.Advance(digits);
                copied = (int)reader.BytesConsumed;
            }
            else if (reader.CurrentDepth == 2 && reader.ValueTextEquals("name"u8))
            {
                reader.Read();
                _output.Write(call[copied..(int)reader.TokenStartIndex]);
                _output.Write("\"echo\""u8);
                copied = (int)reader.BytesConsumed;
            }
            else if (reader.CurrentDepth == 2)
            {
                reader.Skip();
            }
        }

        _output.Write(call[copied..]);
        return _output.WrittenCount;
    }
}
