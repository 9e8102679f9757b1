using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class UriTemplatesTests
{
    [Theory]
    [InlineData("test://{id}", "test://7", true)]
    [InlineData("test://{id}", "test://7/8", false)]
    [InlineData("test://{id}/data", "test://7/data", true)]
    [InlineData("test://{id}/data", "test://7/data/more", false)]
    [InlineData("test://{id}/data", "xtest://7/data", false)]
    [InlineData("test://{+path}", "test://a/b/c", true)]
    [InlineData("test://{/segments*}", "test:///a/b", true)]
    [InlineData("test://x{?q,page}", "test://x?q=1&page=2", true)]
    [InlineData("test://x{#part}", "test://x#a/b", true)]
    [InlineData("test://x{.ext}", "test://x.json", true)]
    [InlineData("test://x{;v}", "test://x;v=1", true)]
    [InlineData("test://{id:3}", "test://abc", true)]
    [InlineData("test://{list*}", "test://a/b", true)]
    [InlineData("test://{a}/{b}", "test://1/2", true)]
    [InlineData("test://{a}/{b}", "test://1", false)]
    [InlineData("test://fixed", "test://fixed", true)]
    [InlineData("test://fixed", "test://fixed2", false)]
    // What means something in regular expressions is plain text.
    [InlineData("test://a.b/{id}", "test://aXb/1", false)]
    [InlineData("test://(a+)+/{id}", "test://(a+)+/1", true)]
    [InlineData("TEST://{id}", "test://1", false)]
    public void Matches_Template(string template, string uri, bool expected) => Assert.Equal(expected, UriTemplates.Matches(template, uri));

    [Theory]
    [InlineData("test://{id")]
    [InlineData("test://{")]
    public void Matches_BrokenTemplate_MatchesNothing(string template)
    {
        Assert.False(UriTemplates.Matches(template, template));
        Assert.False(UriTemplates.Matches(template, "test://1"));
    }

    [Fact]
    public void Matches_EmptyExpression_DoesNotFail() => Assert.True(UriTemplates.Matches("test://{}", "test://x"));

    [Fact]
    public void Matches_HostileTemplateAndLongUri_EndsAtOnce()
    {
        // Backtracking would take longer than the universe has.
        var template = "test://" + string.Concat(Enumerable.Repeat("{+a}", 40)) + "!";

        Assert.False(UriTemplates.Matches(template, "test://" + new string('a', 5000)));
    }
}
