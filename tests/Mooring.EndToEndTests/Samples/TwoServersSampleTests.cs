using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Samples;

/// <summary>The smallest configuration that is of use, through the program's own check.</summary>
public sealed class TwoServersSampleTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    private static readonly string File = Path.Combine(Repository.Root, "samples", "two-servers", "mooring.json");

    [Fact]
    public async Task Check_OfTheSample_IsFineAndNamesBothServers()
    {
        await using var check = await CheckAsync(new Dictionary<string, string>(StringComparer.Ordinal) { ["ISSUES_KEY"] = "k" });

        Assert.True(await check.ExitAsync(Limit, TestContext.Current.CancellationToken) == 0, check.Describe("the sample is not fine"));
        Assert.Contains("is fine. It serves everything, issues.", check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_OfTheSampleWithoutItsKey_NamesWhatIsMissing()
    {
        await using var check = await CheckAsync(new Dictionary<string, string>(StringComparer.Ordinal));

        Assert.Equal(2, await check.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Contains("ISSUES_KEY", check.Errors, StringComparison.Ordinal);
    }

    private static async Task<ToolProcess> CheckAsync(Dictionary<string, string> environment) =>
        ToolProcess.Start(await GatewayBinary.PathAsync(), ["check", "--config", File], environment);
}
