using Mooring.Host.Cli;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary>What people are told to type is what they can type.</summary>
public sealed class CommandLineTests
{
    [Theory]
    [InlineData("", "mooring [command]")]
    [InlineData("run ", "mooring run [options]")]
    [InlineData("check ", "mooring check [options]")]
    [InlineData("drain ", "mooring drain [options]")]
    [InlineData("token ", "mooring token [command] [options]")]
    [InlineData("token create ", "mooring token create [options]")]
    [InlineData("version ", "mooring version [options]")]
    public async Task Help_OfEachVerb_NamesTheCommandAsItIsTyped(string verb, string usage)
    {
        var output = new StringWriter();

        var code = await CommandLine.Create().Parse(verb + "--help").InvokeAsync(
            new() { Output = output }, TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Fine, code);
        Assert.Contains($"Usage:{Environment.NewLine}  {usage}", output.ToString(), StringComparison.Ordinal);
    }
}
