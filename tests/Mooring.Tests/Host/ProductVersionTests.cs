using Mooring.Host.Cli;
using Xunit;

namespace Mooring.Tests.Host;

public sealed class ProductVersionTests
{
    [Theory]
    [InlineData("0.1.0+abc123", "0.1.0", "abc123")]
    [InlineData("1.2.3-rc.1", "1.2.3-rc.1", null)]
    public void Parse_InformationalVersion_IsSplitAtThePlus(string text, string number, string? commit) =>
        Assert.Equal(new ProductVersion(number, commit), ProductVersion.Parse(text));
}
