using System.CommandLine;
using System.Runtime.InteropServices;

namespace Mooring.Host.Cli;

/// <summary><c>mooring version</c>.</summary>
internal static class VersionCommand
{
    public static Command Create()
    {
        var command = new Command("version", "Prints version, commit and runtime.");
        command.SetAction(parsed =>
        {
            var version = ProductVersion.Current;
            var output = parsed.InvocationConfiguration.Output;
            output.WriteLine($"mooring {version.Number}");
            output.WriteLine($"commit  {version.Commit ?? "unknown"}");
            output.WriteLine($"runtime {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}");
            return ExitCodes.Fine;
        });
        return command;
    }
}
