using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using Mooring.Vault;

namespace Mooring.Benchmarks.Micro;

/// <summary>What sealing costs for each event that goes into the store, and opening for each that is replayed.</summary>
[MemoryDiagnoser]
public class SealBenchmark
{
    private static readonly RowName s_row = new("events", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba98", 42);

    private readonly DataKey _key = new(1, RandomNumberGenerator.GetBytes(DataKey.Size), DateTimeOffset.UnixEpoch);
    private byte[] _body = [];
    private byte[] _sealed = [];

    /// <summary>Bytes of the event.</summary>
    [Params(200, 8_000)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _body = RandomNumberGenerator.GetBytes(Size);
        _sealed = _key.Seal(s_row, _body);
    }

    [Benchmark]
    public int Seal() => _key.Seal(s_row, _body).Length;

    [Benchmark]
    public int Open()
    {
        SealedBody.TryRead(_sealed, out var body);
        return _key.Open(s_row, body)!.Length;
    }
}
