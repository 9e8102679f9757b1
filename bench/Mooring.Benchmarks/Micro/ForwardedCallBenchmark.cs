using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using Mooring.Protocol;
using Mooring.Upstreams.Stateless;

namespace Mooring.Benchmarks.Micro;

/// <summary>
/// What it takes to turn a client's tools/call into the upstream's (another id, the tool's name without its prefix, all else untouched)
/// and the upstream's result into the client's: by the gateway's own frames, and two marks to hold them against, everything as objects,
/// and bytes cut and joined without any check.
/// </summary>
[MemoryDiagnoser]
public class ForwardedCallBenchmark
{
    private const string UpstreamName = "echo";
    private const long UpstreamId = 4711;

    private static readonly byte[] s_name = "\"echo\""u8.ToArray();
    private static readonly byte[] s_clientId = "\"a-1\""u8.ToArray();

    private readonly ArrayBufferWriter<byte> _output = new(64 << 10);
    private readonly RequestMetadata _metadata = new("""{"clientInfo":{"name":"bench","version":"1.0.0"},"capabilities":{}}"""u8);
    private byte[] _call = [];
    private byte[] _statelessCall = [];
    private byte[] _result = [];

    /// <summary>Bytes of padding in the arguments.</summary>
    [Params(80, 8_000)]
    public int Padding { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _call = Encoding.UTF8.GetBytes(
        $$$$"""{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"bench__echo","arguments":{"text":"hello","padding":"{{{{new string('p', Padding)}}}}"},"_meta":{"progressToken":7}}}""");
        _statelessCall = Encoding.UTF8.GetBytes(
        $$$$"""{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"bench__echo","arguments":{"text":"hello","padding":"{{{{new string('p', Padding)}}}}"},{{{{Load.Requests.Meta}}}}}}""");
        _result = Encoding.UTF8.GetBytes(
            $$$$"""{"jsonrpc":"2.0","id":{{{{UpstreamId}}}},"result":{"content":[{"type":"text","text":"{{{{new string('p', Padding)}}}}"}]}}""");
    }

    /// <summary>The call through the gateway's frames: read and checked, written with two edits, the buffers from the pool and back.</summary>
    [Benchmark]
    public int MooringCall()
    {
        _output.ResetWrittenCount();
        using var frame = Receive(_call);
        new Message(frame).Replace(frame.Envelope.Id, UpstreamId).Replace(frame.Envelope.Name, s_name).WriteTo(_output);
        return _output.WrittenCount;
    }

    /// <summary>A call of 2026-07-28 to a server of the same: what its client says of itself is found, and passes.</summary>
    [Benchmark]
    public int MooringStatelessCall()
    {
        _output.ResetWrittenCount();
        using var frame = Receive(_statelessCall);
        _metadata.Put(new Message(frame).Replace(frame.Envelope.Name, s_name), UpstreamId, level: null, more: []).WriteTo(_output);
        return _output.WrittenCount;
    }

    /// <summary>A call of a client with sessions to a server without: what the version wants is put in.</summary>
    [Benchmark]
    public int MooringBridgedCall()
    {
        _output.ResetWrittenCount();
        using var frame = Receive(_call);
        _metadata.Put(new Message(frame).Replace(frame.Envelope.Name, s_name), UpstreamId, level: null, more: []).WriteTo(_output);
        return _output.WrittenCount;
    }

    /// <summary>Its result the other way.</summary>
    [Benchmark]
    public int MooringResult()
    {
        _output.ResetWrittenCount();
        using var frame = Receive(_result);
        new Message(frame).Replace(frame.Envelope.Id, s_clientId).WriteTo(_output);
        return _output.WrittenCount;
    }

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

    /// <summary>As a body arrives: copied from the connection into a buffer of the pool.</summary>
    private static Frame Receive(byte[] message)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(message.Length);
        message.CopyTo(buffer, 0);
        return FrameReader.Take(buffer, message.Length, pooled: true, FrameLimits.Default, out _)!;
    }
}
