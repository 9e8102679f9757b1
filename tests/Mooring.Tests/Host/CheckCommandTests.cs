using Mooring.Host.Cli;
using Xunit;

namespace Mooring.Tests.Host;

/// <summary><c>mooring check</c>, on a file.</summary>
public sealed class CheckCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-check-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Names_ThatAreOthersInAddresses_AreSaid()
    {
        var file = Path.Combine(_folder, "mooring.json");
        await File.WriteAllTextAsync(file, """
            { "connectors": {}, "mcpServers": {
                "My Server": { "url": "http://a.test" },
                "plain": { "url": "http://b.test" },
                "not here": { "url": "http://c.test", "disabled": true } } }
            """, TestContext.Current.CancellationToken);
        var (output, error) = (new StringWriter(), new StringWriter());

        var code = await CommandLine.Create().Parse(["check", "--config", file]).InvokeAsync(new() { Output = output, Error = error }, TestContext.Current.CancellationToken);

        Assert.Equal((ExitCodes.Fine, ""), (code, error.ToString()));
        Assert.Equal(
            ["The server \"My Server\" is called My-Server in addresses (/servers/My-Server/mcp) and names.", $"{file} is fine. It serves My Server, plain."],
            output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }
}
