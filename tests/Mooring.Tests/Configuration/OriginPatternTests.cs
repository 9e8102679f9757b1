using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class OriginPatternTests
{
    [Theory]
    [InlineData("https://example.com", "https://example.com")]
    [InlineData("https://example.com", "https://example.com:443")]
    [InlineData("https://example.com:443", "https://example.com")]
    [InlineData("http://example.com", "http://example.com:80")]
    [InlineData("HTTPS://Example.COM", "https://example.com")]
    [InlineData("https://example.com", "HTTPS://EXAMPLE.com")]
    [InlineData("https://*.example.com", "https://a.example.com")]
    [InlineData("https://*.example.com", "https://a.b.example.com")]
    [InlineData("https://*.Example.com", "https://A.EXAMPLE.COM")]
    [InlineData("https://*.example.com:*", "https://a.example.com:8443")]
    [InlineData("http://localhost:*", "http://localhost:1")]
    [InlineData("http://localhost:*", "http://localhost:65535")]
    [InlineData("http://localhost:*", "http://localhost")]
    [InlineData("http://[::1]:3000", "http://[::1]:3000")]
    [InlineData("http://[::1]", "http://[::1]:80")]
    [InlineData("http://[::1]:*", "http://[::1]:12345")]
    [InlineData("http://[2001:db8::1]", "http://[2001:DB8::1]")]
    [InlineData("chrome-extension://abcdef", "chrome-extension://abcdef")]
    public void Matches_SameOrigin_Is(string pattern, string origin) => Assert.True(Parse(pattern).Matches(origin));

    [Theory]
    // Whole labels only.
    [InlineData("https://*.example.com", "https://example.com")]
    [InlineData("https://*.example.com", "https://evil-example.com")]
    [InlineData("https://*.example.com", "https://evilexample.com")]
    [InlineData("https://*.example.com", "https://.example.com")]
    [InlineData("https://*.example.com", "https://a.example.com.evil.test")]
    [InlineData("https://*.example.com", "https://..example.com")]
    [InlineData("https://*.example.com", "https://a%00.example.com")]
    [InlineData("https://example.com", "https://example.com.evil.test")]
    [InlineData("https://example.com", "https://a.example.com")]
    [InlineData("https://example.com", "https://example.com.")]
    [InlineData("https://example.com", "https://exampleXcom")]
    // Ports and schemes.
    [InlineData("https://example.com", "http://example.com")]
    [InlineData("https://example.com", "https://example.com:8443")]
    [InlineData("https://example.com:8443", "https://example.com")]
    [InlineData("https://example.com:8443", "https://example.com:84430")]
    [InlineData("http://example.com", "https://example.com:80")]
    [InlineData("http://localhost:*", "http://localhost:0")]
    [InlineData("http://localhost:*", "http://localhost:65536")]
    [InlineData("http://localhost:*", "http://localhost:-1")]
    [InlineData("http://localhost:*", "http://localhost:+1")]
    [InlineData("http://localhost:*", "http://localhost: 1")]
    [InlineData("http://localhost:*", "http://localhost:1x")]
    // IPv6: the colons are the address's.
    [InlineData("http://[::1]:3000", "http://[::1]:3001")]
    [InlineData("http://[::1]", "http://[::2]")]
    [InlineData("http://[::1]:*", "http://[::1]x:3000")]
    [InlineData("http://[::1]:*", "http://::1")]
    // What is no origin.
    [InlineData("https://example.com", "null")]
    [InlineData("https://example.com", "")]
    [InlineData("https://example.com", "example.com")]
    [InlineData("https://example.com", "://example.com")]
    [InlineData("https://example.com", "https:example.com")]
    // Userinfo, paths and other tricks.
    [InlineData("https://example.com", "https://example.com@evil.test")]
    [InlineData("https://*.example.com", "https://evil.test@a.example.com")]
    [InlineData("https://*.example.com", "https://evil.test/.example.com")]
    [InlineData("https://*.example.com", "https://evil.test?.example.com")]
    [InlineData("https://*.example.com", "https://evil.test#.example.com")]
    [InlineData("https://*.example.com", "https://evil.test\\.example.com")]
    [InlineData("https://*.example.com", "https://evil.test:80.example.com")]
    [InlineData("https://*.example.com", "https://[::1].example.com")]
    [InlineData("https://example.com", "https://example.com/")]
    [InlineData("https://example.com", " https://example.com")]
    [InlineData("https://example.com", "https://example.com ")]
    [InlineData("https://example.com", "https://https://example.com")]
    // Letters that only look the same, or fold to the same.
    [InlineData("https://site.com", "https://\u017Fite.com")]
    [InlineData("https://kit.com", "https://\u212Ait.com")]
    [InlineData("https://*.example.com", "https://\u0430.example.com")]
    public void Matches_AnotherOrigin_IsNot(string pattern, string origin) => Assert.False(Parse(pattern).Matches(origin));

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("*")]
    [InlineData("example.com")]
    [InlineData("https://")]
    [InlineData("https://*")]
    [InlineData("https://a.*.com")]
    [InlineData("https://*a.example.com")]
    [InlineData("https://*.*.example.com")]
    [InlineData("https://example.*")]
    [InlineData("https://example.com:x")]
    [InlineData("https://example.com:0")]
    [InlineData("https://example.com:65536")]
    [InlineData("https://user@example.com")]
    [InlineData("https://example.com/path")]
    public void Parse_NoPattern_IsNull(string text) => Assert.Null(OriginPattern.Parse(text));

    private static OriginPattern Parse(string pattern)
    {
        var parsed = OriginPattern.Parse(pattern);
        Assert.NotNull(parsed);
        return parsed;
    }
}
