using FsCheck;
using FsCheck.Fluent;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("15s", 15_000)]
    [InlineData("5m", 300_000)]
    [InlineData("500ms", 500)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("2d", 172_800_000)]
    [InlineData("1.5s", 1_500)]
    [InlineData(" 15s ", 15_000)]
    [InlineData("0", 0)]
    [InlineData("0s", 0)]
    public void TryParse_KnownForm_IsRead(string text, long milliseconds)
    {
        Assert.True(DurationText.TryParse(text, out var value));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("15")]
    [InlineData("s")]
    [InlineData("15 s")]
    [InlineData("-15s")]
    [InlineData("15sec")]
    [InlineData("1..5s")]
    [InlineData("15S")]
    [InlineData("00:00:15")]
    [InlineData("999999999999999999999999999999d")]
    [InlineData("36526d")]
    public void TryParse_AnythingElse_IsRefused(string text) => Assert.False(DurationText.TryParse(text, out _));

    [Fact]
    public void Format_AnyDuration_ReadsBackAsTheSame()
    {
        var durations = Gen.Choose(0, int.MaxValue).Select(n => (long)n)
            .SelectMany(high => Gen.Choose(0, int.MaxValue), (high, low) => new TimeSpan((high * 10_000_000L) + low))
            .Where(d => d <= TimeSpan.FromDays(36_000)).ToArbitrary();
        Prop.ForAll(durations, duration =>
            DurationText.TryParse(DurationText.Format(duration), out var back) && back == duration).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(620, "10m20s")]
    [InlineData(86_400, "1d")]
    [InlineData(0.5, "500ms")]
    [InlineData(1.5, "1s500ms")]
    public void Format_Duration_IsShort(double seconds, string text) => Assert.Equal(text, DurationText.Format(TimeSpan.FromSeconds(seconds)));
}
