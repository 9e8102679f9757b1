using Mooring.Configuration;
using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.Tests.Upstreams.Stdio;

public sealed class CommandLookupTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(null)]
    [InlineData(" ")]
    public void Find_NoCommand_SaysSo(string? command) =>
        AssertFails(command, StartFailure.NoCommand, "Server 'files' has no command.");

    [Fact]
    public void Find_CommandNotInPath_NamesServerCommandAndPath() =>
        AssertFails(
            "no-such-program",
            StartFailure.CommandNotFound,
            $"Server 'files' cannot be started: command 'no-such-program' not found in PATH (/nowhere{Path.PathSeparator}{_folder}).");

    [Fact]
    public void Find_CommandWithFolder_IsNotLookedForInPath() =>
        AssertFails(
            "./no-such-program",
            StartFailure.CommandNotFound,
            $"Server 'files' cannot be started: command './no-such-program' not found (looked for from '{Path.GetFullPath(".")}').");

    [Fact]
    public void Find_NotExecutable_NamesTheFile()
    {
        File.WriteAllText(Path.Combine(_folder, "plain.txt"), "text");
        var expected = $"Server 'files' cannot be started: '{Path.Combine(_folder, "plain.txt")}' is not an executable file.";

        AssertFails("plain.txt", StartFailure.NotExecutable, expected);
        AssertFails(Path.Combine(_folder, "plain.txt"), StartFailure.NotExecutable, expected);
    }

    [Fact]
    public void Find_ADirectory_IsNotExecutable() =>
        AssertFails(_folder, StartFailure.NotExecutable, $"Server 'files' cannot be started: '{_folder}' is not an executable file.");

    [Fact]
    public void Find_MissingWorkingDirectory_SaysSo() =>
        AssertFails(
            "sh",
            StartFailure.WorkingDirectoryMissing,
            "Server 'files' cannot be started: its working directory '/no/such/folder' does not exist.",
            "/no/such/folder");

    [Fact]
    public void Find_InPathOfTheServer_GivesTheFirstThatCanBeExecuted()
    {
        var inner = Directory.CreateDirectory(Path.Combine(_folder, "inner")).FullName;
        File.WriteAllText(Path.Combine(_folder, "tool"), "not executable");
        var expected = Executable(Path.Combine(inner, "tool"));

        var (file, failure, _) = Find("tool", path: _folder + Path.PathSeparator + inner);

        Assert.Equal((expected, StartFailure.None), (file, failure));
    }

    [Fact]
    public void Find_RelativeToTheServersDirectory_GivesItsFile()
    {
        var expected = Executable(Path.Combine(_folder, "tool"));

        Assert.Equal(expected, Find("./tool", _folder).File);
        Assert.Equal(expected, Find("tool", _folder, path: ".").File);
    }

    private static string Executable(string file)
    {
        File.WriteAllText(file, "#!/bin/sh\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        return file;
    }

    private (string? File, StartFailure Failure, string Message) Find(string? command, string? directory = null, string? path = null) =>
        CommandLookup.Find(new ServerConfig
        {
            Name = "files",
            Command = command,
            WorkingDirectory = directory,
            Env = new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = path ?? $"/nowhere{Path.PathSeparator}{_folder}" },
        });

    private void AssertFails(string? command, StartFailure failure, string message, string? directory = null)
    {
        var found = Find(command, directory);

        Assert.Equal((null, failure, message), found);
    }
}
