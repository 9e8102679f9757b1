using Mooring.Configuration;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Finds the file that a server's command means, so that a wrong command is told in words before anything is started.
/// Works as <c>execvp</c> does after changing to the server's directory, with the PATH that the server itself will see.
/// </summary>
internal static class CommandLookup
{
    public static (string? File, StartFailure Failure, string Message) Find(ServerConfig config)
    {
        if (string.IsNullOrWhiteSpace(config.Command))
        {
            return (null, StartFailure.NoCommand, $"Server '{config.Name}' has no command.");
        }

        var directory = Path.GetFullPath(config.WorkingDirectory ?? ".");
        if (!Directory.Exists(directory))
        {
            return (null, StartFailure.WorkingDirectoryMissing,
                $"Server '{config.Name}' cannot be started: its working directory '{directory}' does not exist.");
        }

        var path = config.Env.GetValueOrDefault("PATH") ?? Environment.GetEnvironmentVariable("PATH") ?? "";
        var file = Search(config.Command, directory, path, out var notExecutable);
        if (file is not null)
        {
            return (file, StartFailure.None, "");
        }

        if (notExecutable is not null)
        {
            return (null, StartFailure.NotExecutable,
                $"Server '{config.Name}' cannot be started: '{notExecutable}' is not an executable file.");
        }

        var where = HasDirectory(config.Command) ? $"(looked for from '{directory}')" : $"in PATH ({path})";
        return (null, StartFailure.CommandNotFound, $"Server '{config.Name}' cannot be started: command '{config.Command}' not found {where}.");
    }

    /// <summary>A program of the system itself, such as <c>setsid</c>; null where the system has none.</summary>
    public static string? FindSystemProgram(string name) =>
        Search(name, "/", "/usr/bin:/bin:/usr/sbin:/sbin:" + Environment.GetEnvironmentVariable("PATH"), out _);

    private static string? Search(string command, string directory, string path, out string? notExecutable)
    {
        notExecutable = null;
        string[] folders = HasDirectory(command) ? [directory] : path.Split(Path.PathSeparator);
        foreach (var folder in folders)
        {
            foreach (var extension in Extensions())
            {
                var file = Path.GetFullPath(Path.Combine(directory, folder, command + extension));
                if (!File.Exists(file))
                {
                    notExecutable ??= HasDirectory(command) && Directory.Exists(file) ? file : null;
                }
                else if (OperatingSystem.IsWindows() || Posix.IsExecutable(file))
                {
                    return file;
                }
                else
                {
                    notExecutable ??= file;
                }
            }
        }

        return null;
    }

    private static bool HasDirectory(string command) => command.AsSpan().ContainsAny(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar);

    // npx, uvx and the like are scripts with an extension there.
    private static string[] Extensions() =>
        OperatingSystem.IsWindows() ? ["", .. (Environment.GetEnvironmentVariable("PATHEXT") ?? ".EXE;.CMD;.BAT").Split(';')] : [""];
}
