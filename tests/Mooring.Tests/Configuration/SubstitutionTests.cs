using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class SubstitutionTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [InlineData("${KEY}", "value")]
    [InlineData("a${KEY}b${KEY}", "avaluebvalue")]
    [InlineData("${env:KEY}", "value")]
    [InlineData("${NONE:-fallback}", "fallback")]
    [InlineData("${EMPTY:-fallback}", "fallback")]
    [InlineData("${KEY:-fallback}", "value")]
    [InlineData("${NONE:-}", "")]
    [InlineData("[${EMPTY}]", "[]")]
    [InlineData("$${KEY}", "${KEY}")]
    [InlineData("a$KEY}", "a$KEY}")]
    [InlineData("${file:secret}", "from file")]
    [InlineData("${NESTED}", "${KEY}")]
    public void String_WithReferences_IsReplacedOnce(string written, string expected)
    {
        _fixture.Environment["KEY"] = "value";
        _fixture.Environment["EMPTY"] = "";
        _fixture.Environment["NESTED"] = "${KEY}";
        _fixture.Write("secret", "from file\n");

        var config = _fixture.LoadFine($$"""{ "mcpServers": { "a": { "command": "x", "args": ["{{written}}"] } } }""");

        Assert.Equal(expected, config.Servers[0].Args[0]);
    }

    [Theory]
    [InlineData("${NONE}", "needs the environment variable NONE, which is not set.")]
    [InlineData("${", "has a ${ without its }; write $${ where a plain ${ is meant.")]
    [InlineData("${}", "has an empty ${}; name a variable or a file.")]
    [InlineData("${input:token}", "asks for ${input:token}; nobody can be asked at start. Use a variable: ${NAME}.")]
    public void String_WithReferenceToNothing_NamesTheKeyAndWhatIsMissing(string written, string message)
    {
        var problem = _fixture.LoadWrong($$"""{ "mcpServers": { "a": { "url": "http://x", "headers": { "X-Key": "{{written}}" } } } }""");

        Assert.Equal(("mcpServers.a.headers.X-Key", message), (problem.Path, problem.Message));
    }

    [Fact]
    public void File_MissingOrTooLarge_NamesTheKeyAndTheFile()
    {
        var large = _fixture.Write("large", new string('x', 65 * 1024));
        var result = _fixture.Load("""{ "connectors": { "docs": { "path": "${file:none}", "title": "${file:large}" } } }""");

        Assert.Equal(
            [
                ("connectors.docs.path", $"needs the file {Path.Combine(_fixture.Folder, "none")}, which does not exist."),
                ("connectors.docs.title", $"needs the file {large}, which is larger than 64kB."),
            ],
            result.Errors.Select(e => (e.Path, e.Message)));
    }

    [Fact]
    public void Scalars_OfEveryKind_TakeReferences()
    {
        _fixture.Environment["N"] = "7";
        _fixture.Environment["D"] = "10s";
        _fixture.Environment["B"] = "true";
        var config = _fixture.LoadFine("""
            { "limits": { "streams": "${N}" }, "keepAlive": { "interval": "${D}" }, "auth": { "allowAnonymous": "${B}" }, "connectors": {} }
            """);

        Assert.Equal(7, config.Limits.Streams);
        Assert.Equal(TimeSpan.FromSeconds(10), config.KeepAlive.Interval);
        Assert.True(config.Auth.AllowAnonymous);
    }

    [Fact]
    public void Error_OfAReplacedValue_DoesNotShowTheValue()
    {
        _fixture.Environment["SECRET"] = "hunter2";

        var problem = _fixture.LoadWrong("""{ "keepAlive": { "interval": "${SECRET}" } }""");

        Assert.Contains("${SECRET}", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_OfReferences_AreWatched()
    {
        var secret = _fixture.Write("secret", "x");

        var result = _fixture.Load("""{ "connectors": { "docs": { "path": "${file:secret}" } } }""");

        Assert.Equal([_fixture.ConfigFile, secret], result.Files);
    }
}
