using System.Globalization;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The first command of the README, as it stands there, on a machine that has nothing but its loopback.</summary>
public sealed class NoNetworkTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>Everything happens in the namespace, since nobody outside reaches in: start, hello, list, search, stop.</summary>
    private const string Script = """
        busybox ifconfig lo up || exit 90
        "$1" run --urls "http://127.0.0.1:$2" --data "$3" > started 2> log &
        gateway=$!
        until curl -s -o ready -f "http://127.0.0.1:$2/ready"; do
            kill -0 "$gateway" || { cat started log >&2; exit 91; }
            sleep 0.1
        done
        post() {
            curl -s -D head -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' ${session:+-H "Mcp-Session-Id: $session"} -d "$1" "http://127.0.0.1:$2/mcp"
            echo
        }
        post '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}' "$2"
        session=$(sed -n 's/^Mcp-Session-Id: \([0-9a-f]*\).*/\1/p' head)
        post '{"jsonrpc":"2.0","id":2,"method":"tools/list"}' "$2"
        post '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"docs_search","arguments":{"query":"invariants"}}}' "$2"
        kill -TERM "$gateway"
        wait "$gateway"
        echo "ended with $?"
        cat started >&2
        """;

    [Fact]
    public async Task RunWithoutConfigurationAndNetwork_ServesTheDocsOfTheCheckout_AndStops()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && await MayUnshareAsync(), "needs the right to make a network namespace");
        await GatewayBinary.PathAsync();
        using var folder = new TempFolder();

        await using var tool = ToolProcess.Start(
            "unshare",
            [
                "--net", "--map-root-user", "sh", "-c", Script, "sh",
                Path.Combine(Repository.Root, "mooring"), LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture), Path.Combine(folder.Path, "data"),
            ],
            folder: folder.Path);
        Assert.True(await tool.ExitAsync(Limit, TestContext.Current.CancellationToken) == 0, tool.Describe("the script failed"));

        // A call that takes longer than the grace comes as a stream of events; the answer is the data of one of them then.
        string[] lines = [.. tool.Output.Split('\n').Select(line => line.StartsWith("data: ", StringComparison.Ordinal) ? line[6..] : line).Where(line => line.StartsWith('{') || line.StartsWith("ended", StringComparison.Ordinal))];
        Assert.True(lines.Length == 4, tool.Describe("not four lines"));
        Assert.Contains("\"protocolVersion\":\"2025-11-25\"", lines[0], StringComparison.Ordinal);
        Assert.Contains("\"docs_search\"", lines[1], StringComparison.Ordinal);
        Assert.Contains("/invariants", lines[2], StringComparison.Ordinal);
        Assert.Equal("ended with 0", lines[3]);
        Assert.Contains("claude mcp add --transport http mooring http://127.0.0.1:", tool.Errors, StringComparison.Ordinal);
        Assert.Contains("code --add-mcp", tool.Errors, StringComparison.Ordinal);
        Assert.Contains("Cursor", tool.Errors, StringComparison.Ordinal);
        Assert.Contains("Claude Desktop", tool.Errors, StringComparison.Ordinal);
    }

    private static async Task<bool> MayUnshareAsync()
    {
        await using var tool = ToolProcess.Start("unshare", ["--net", "--map-root-user", "true"]);
        return await tool.ExitAsync(Limit, TestContext.Current.CancellationToken) == 0;
    }
}
