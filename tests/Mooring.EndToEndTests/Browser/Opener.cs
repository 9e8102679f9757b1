using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;

namespace Mooring.EndToEndTests.Browser;

/// <summary>What programs take for the person's browser: it writes the address down, and the test goes there. The test that made it disposes it.</summary>
internal sealed class Opener : IDisposable
{
    private readonly TempFolder _folder = new();

    public Opener()
    {
        Program = _folder.File("browser");
        File.WriteAllText(Program, $"#!/bin/sh\nprintf '%s' \"$1\" > '{Opened}.part' && mv '{Opened}.part' '{Opened}'\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    public string Program { get; }

    /// <summary>Makes the programs that open pages on Linux take this one, whatever desktop the machine has, and keep what they learn in a folder that goes with it.</summary>
    public Dictionary<string, string> Environment => new(StringComparer.Ordinal)
    {
        ["BROWSER"] = Program,
        ["DISPLAY"] = "",
        ["WAYLAND_DISPLAY"] = "",
        ["XDG_CURRENT_DESKTOP"] = "X-Generic",
        ["HOME"] = _folder.Path,
        ["USERPROFILE"] = _folder.Path,
        ["MCP_REMOTE_CONFIG_DIR"] = _folder.Path,
        ["MCP_AUTO_OPEN_ENABLED"] = "true",
        // A machine without a keychain has the Inspector forget its tokens at the end, and ask its person again.
        ["MCP_INSPECTOR_SECRET_STORE"] = "file",
    };

    public bool HasOpened => File.Exists(Opened);

    private string Opened => _folder.File("opened");

    /// <summary>The address a program opened, as soon as it did.</summary>
    /// <param name="program">Its run; it has to open the page before it ends.</param>
    public async Task<Uri> OpenedByAsync(Task<NodeRun> program)
    {
        await Wait.UntilAsync(() => HasOpened || program.IsCompleted, () => "nobody opened a page");
        if (!HasOpened)
        {
            var run = await program;
            throw new InvalidOperationException($"It ended with {run.ExitCode} and opened no page.\n{run.Output}\n{run.Errors}");
        }

        var address = new Uri(await File.ReadAllTextAsync(Opened));
        File.Delete(Opened);
        return address;
    }

    public void Dispose() => _folder.Dispose();
}
