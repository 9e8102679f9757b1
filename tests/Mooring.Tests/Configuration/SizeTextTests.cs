using FsCheck;
using FsCheck.Fluent;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class SizeTextTests
{
    [Theory]
    [InlineData("4MB", 4L << 20)]
    [InlineData("256kB", 256L << 10)]
    [InlineData("256KiB", 256L << 10)]
    [InlineData("1.5 GB", 3L << 29)]
    [InlineData("17", 17)]
    [InlineData("17B", 17)]
    [InlineData("2m", 2L << 20)]
    public void TryParse_KnownForm_IsRead(string text, long bytes)
    {
        Assert.True(SizeText.TryParse(text, out var value));
        Assert.Equal(bytes, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MB")]
    [InlineData("4XB")]
    [InlineData("-4MB")]
    [InlineData("0.5B")]
    [InlineData("4 M B")]
    [InlineData("99999999999999999999GB")]
    public void TryParse_AnythingElse_IsRefused(string text) => Assert.False(SizeText.TryParse(text, out _));

    [Fact]
    public void Format_AnySize_ReadsBackAsTheSame() =>
        Prop.ForAll(
            Gen.Choose(0, int.MaxValue).SelectMany(n => Gen.Elements(0, 10, 20, 30), (n, shift) => (long)n << shift).ToArbitrary(),
            size => SizeText.TryParse(SizeText.Format(size), out var back) && back == size).QuickCheckThrowOnFailure();
}
