using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

/// <summary>What is over with a change of an account, and what was begun since.</summary>
public sealed class AccountChangeTests
{
    [Theory]
    [InlineData("a", "b", null, true)]
    [InlineData("a", "b", "a", true)]
    [InlineData("a", "b", "b", false)]
    [InlineData("a", "b", "c", false)]
    [InlineData("a", null, "a", true)]
    [InlineData("a", null, "b", false)]
    [InlineData(null, "b", "a", true)]
    [InlineData(null, "b", "b", false)]
    [InlineData(null, null, "a", true)]
    public void Change_OfAnAccount_EndsWhatWasBeforeIt_AndNothingSince(string? was, string? now, string? linking, bool ends) =>
        Assert.Equal(ends, new AccountChange(default, was, now).Ends(linking));
}
