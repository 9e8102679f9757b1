using System.Security.Cryptography;
using System.Text;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

public sealed class WorkingKeyTests
{
    private static readonly RowName Row = new("events", "session", "stream", 7);

    private readonly byte[] _bytes = RandomNumberGenerator.GetBytes(DataKey.Size);

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("""{"jsonrpc":"2.0"}""")]
    public void Sealed_ByOneProcess_OpensInAnother(string body)
    {
        var box = Make().Seal(Row, Encoding.UTF8.GetBytes(body));

        Assert.Equal(body, Open(Make(), Row, box));
        Assert.Equal(body.Length + SealedBody.Overhead, box.Length);
    }

    public static TheoryData<string, string, string, long> OtherRows => new()
    {
        { "mailbox", "session", "stream", 7 },
        { "events", "session2", "stream", 7 },
        { "events", "session", "stream2", 7 },
        { "events", "session", "stream", 8 },
        // The same letters, cut elsewhere.
        { "events", "sessions", "tream", 7 },
        { "eventss", "ession", "stream", 7 },
    };

    [Theory]
    [MemberData(nameof(OtherRows))]
    public void Sealed_MovedToAnotherRow_DoesNotOpen(string table, string scope, string id, long version)
    {
        var key = Make();
        var box = key.Seal(Row, "secret"u8);

        Assert.Null(Open(key, new RowName(table, scope, id, version), box));
    }

    [Fact]
    public void Sealed_AnyBitChanged_DoesNotOpen()
    {
        var key = Make();
        var box = key.Seal(Row, "secret"u8);
        for (var i = 0; i < box.Length; i++)
        {
            var changed = box.ToArray();
            changed[i] ^= 1;
            // The first bytes say that it is sealed, and how: without them it is not read as such at all. The next four name the key.
            if (SealedBody.TryRead(changed, out var read) && read.Key == 1)
            {
                Assert.Null(key.Open(Row, read));
            }
            else
            {
                Assert.InRange(i, 0, 5);
            }
        }
    }

    [Fact]
    public void Sealed_WithAnotherDataKey_DoesNotOpen()
    {
        var box = Make().Seal(Row, "secret"u8);

        Assert.Null(Open(new DataKey(1, RandomNumberGenerator.GetBytes(DataKey.Size), FakeClock.Start), Row, box));
    }

    [Fact]
    public void Salts_MadeUp_OpenNothing_AndAreNotKept()
    {
        var bytes = RandomNumberGenerator.GetBytes(DataKey.Size);
        var key = new DataKey(1, bytes, FakeClock.Start);
        var box = new DataKey(1, bytes, FakeClock.Start).Seal(Row, "secret"u8);
        Assert.NotNull(Open(key, Row, box));

        for (var i = 0; i < 300; i++)
        {
            RandomNumberGenerator.Fill(box.AsSpan(6, SealedBody.SaltSize));
            Assert.Null(Open(key, Row, box));
        }

        Assert.Equal(1, key.Kept);
    }

    [Fact]
    public void Sealed_CutShort_IsNotRead()
    {
        var box = Make().Seal(Row, "secret"u8);

        Assert.False(SealedBody.TryRead(box.AsSpan(0, SealedBody.Overhead - 1), out _));
        Assert.False(SealedBody.TryRead(box.AsSpan(0, 1), out _));
    }

    [Fact]
    public void Sealed_FromManyThreads_NeverUsesANonceTwiceAndAllOpen()
    {
        var key = Make();
        var boxes = Enumerable.Range(0, 2000).AsParallel().WithDegreeOfParallelism(8)
            .Select(i => (Number: i, Box: key.Seal(Row with { Version = i }, Encoding.UTF8.GetBytes($"body {i}")))).ToList();

        Assert.Equal(boxes.Count, boxes.Select(b => Convert.ToHexString(b.Box.AsSpan(0, SealedBody.HeadSize))).Distinct().Count());
        Assert.All(boxes.AsParallel().Select(b => (b.Number, Text: Open(key, Row with { Version = b.Number }, b.Box))), b => Assert.Equal($"body {b.Number}", b.Text));
    }

    [Fact]
    public void Sealed_ByTwoProcesses_HaveSaltsOfTheirOwn()
    {
        var (a, b) = (Make().Seal(Row, "same"u8), Make().Seal(Row, "same"u8));

        Assert.True(SealedBody.TryRead(a, out var first));
        Assert.True(SealedBody.TryRead(b, out var second));
        Assert.False(first.Salt.SequenceEqual(second.Salt));
    }

    private static string? Open(DataKey key, RowName row, byte[] box)
    {
        Assert.True(SealedBody.TryRead(box, out var read));
        return key.Open(row, read) is { } body ? Encoding.UTF8.GetString(body) : null;
    }

    private DataKey Make() => new(1, _bytes, FakeClock.Start);
}
