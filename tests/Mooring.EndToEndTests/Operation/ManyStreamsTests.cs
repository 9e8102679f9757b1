using System.Globalization;
using System.Text.RegularExpressions;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>Many clients at once, on a system whose usual open-file limit would not let them in.</summary>
public sealed partial class ManyStreamsTests
{
    private const int Sessions = 250;
    private const int StreamsPerSession = 4;

    [Fact]
    public async Task ThousandStreams_UnderALowSoftFileLimit_AreAllOpenAndAllHear()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var server = await FaultyServer.StartAsync();
        using var folder = new TempFolder();
        await using var gateway = await GatewayProcess.StartAsync(
            GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))), program: await WithFewFilesAsync(folder, "-Sn 256"));
        Assert.True(await SoftFileLimitAsync(gateway.Process.Id) > Sessions * StreamsPerSession);
        var clients = new List<McpClient>();
        var streams = new List<SseStream>();
        try
        {
            foreach (var _ in Enumerable.Range(0, Sessions))
            {
                var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
                clients.Add(client);
                await client.CallAsync("echo", "opens the link");
                streams.AddRange(await Task.WhenAll(Enumerable.Range(0, StreamsPerSession).Select(_ => client.OpenAsync())));
            }

            server.Log("to all");

            // Each session hears it once, on the newest of its streams that was added.
            foreach (var own in streams.Chunk(StreamsPerSession))
            {
                var heard = await Task.WhenAny(own.Select(stream => stream.NotificationAsync("notifications/message")));
                Assert.Equal("to all", (string?)(await heard)["params"]!["data"]);
            }
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public async Task FileLimit_ThatCannotBeRaised_IsWarnedOf_AndTheGatewayServes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TempFolder();
        // Both at once: the hard limit alone cannot be set below the soft one.
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(), program: await WithFewFilesAsync(folder, "-n 1024"));

        Assert.Equal(1024, await SoftFileLimitAsync(gateway.Process.Id));
        await Wait.UntilAsync(
            () => gateway.Process.Errors.Contains("warning: the open-file limit is 1024, but limits.streams is", StringComparison.Ordinal),
            () => gateway.Process.Describe("no warning"));
    }

    private static async Task<string> WithFewFilesAsync(TempFolder folder, string limit)
    {
        var script = folder.File("few-files");
        await File.WriteAllTextAsync(script, $"#!/bin/sh\nulimit {limit}\nexec '{await GatewayBinary.PathAsync()}' \"$@\"\n", TestContext.Current.CancellationToken);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return script;
    }

    private static async Task<long> SoftFileLimitAsync(int process)
    {
        var limits = await File.ReadAllTextAsync($"/proc/{process.ToString(CultureInfo.InvariantCulture)}/limits", TestContext.Current.CancellationToken);
        return long.Parse(OpenFiles().Match(limits).Groups["soft"].Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"Max open files\s+(?<soft>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex OpenFiles();
}
