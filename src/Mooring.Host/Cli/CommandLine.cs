using System.CommandLine;
using System.CommandLine.Help;

namespace Mooring.Host.Cli;

/// <summary>All verbs under the name that people type.</summary>
internal static class CommandLine
{
    /// <remarks>
    /// No <see cref="RootCommand"/>: that one takes its name from the assembly, and the assembly cannot be called mooring (see the
    /// project file), so every help text told people to type a name that does not exist.
    /// </remarks>
    public static Command Create() => new("mooring", "Mooring, an MCP gateway whose connections hold.")
    {
        new HelpOption(),
        new VersionOption(),
        RunCommand.Create(),
        CheckCommand.Create(),
        DrainCommand.Create(),
        TokenCommand.Create(),
        VersionCommand.Create(),
    };
}
