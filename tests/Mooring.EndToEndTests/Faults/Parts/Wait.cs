using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>Waits for what another process does. There is nothing to subscribe to there, so it looks again and again.</summary>
internal static class Wait
{
    public static Task UntilAsync(Func<bool> condition, Func<string> state) => UntilAsync(() => Task.FromResult(condition()), state);

    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> state)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < SseStream.Limit, $"After {SseStream.Limit.TotalSeconds} s: {state()}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
