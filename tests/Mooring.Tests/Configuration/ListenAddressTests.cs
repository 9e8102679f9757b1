using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class ListenAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:3000", "http://127.0.0.1:3000", true)]
    [InlineData("https://127.0.0.1", "https://127.0.0.1:443", true)]
    [InlineData("http://127.9.9.9:1/", "http://127.9.9.9:1", true)]
    [InlineData("HTTP://LOCALHOST:0", "http://localhost:0", true)]
    [InlineData("http://[::1]", "http://[::1]:80", true)]
    [InlineData("http://0.0.0.0:80", "http://0.0.0.0:80", false)]
    [InlineData("https://*:443", "https://[::]:443", false)]
    [InlineData("http://+:80", "http://[::]:80", false)]
    public void TryParse_Address_KnowsWhoCanReachIt(string text, string shown, bool loopback)
    {
        Assert.True(ListenAddress.TryParse(text, out var address));
        Assert.Equal((shown, loopback), (address.ToString(), address.IsLoopback));
    }

    [Theory]
    [InlineData("127.0.0.1:3000")]
    [InlineData("http://example.com:80")]
    [InlineData("http://127.0.0.1:3000/mcp")]
    [InlineData("http://127.0.0.1:65536")]
    [InlineData("http://127.0.0.1:")]
    [InlineData("http://3000")]
    [InlineData("http://[::1")]
    [InlineData("http://:3000")]
    [InlineData("http://")]
    public void TryParse_AnythingElse_IsRefused(string text) => Assert.False(ListenAddress.TryParse(text, out _));
}
