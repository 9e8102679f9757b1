using System.Diagnostics.CodeAnalysis;

namespace Mooring.Upstreams.Stdio;

/// <summary>Why a server's process could not be started.</summary>
internal enum StartFailure
{
    None,

    /// <summary>The configuration names no program.</summary>
    NoCommand,

    CommandNotFound,

    NotExecutable,

    WorkingDirectoryMissing,

    /// <summary>The program is there, but the system refused: no more processes, memory or files, or too long arguments.</summary>
    SystemRefused,
}

/// <summary>What came of starting a server: its process, or why there is none in words for its owner.</summary>
internal readonly struct ServerStart
{
    private ServerStart(ServerProcess? process, StartFailure failure, string message)
    {
        Process = process;
        Failure = failure;
        Message = message;
    }

    [MemberNotNullWhen(true, nameof(Process))]
    public bool Succeeded => Process is not null;

    public ServerProcess? Process { get; }

    public StartFailure Failure { get; }

    /// <summary>Names the server and the command; holds no arguments and no environment. Empty on success.</summary>
    public string Message { get; }

    public static ServerStart Of(ServerProcess process) => new(process, StartFailure.None, "");

    public static ServerStart Failed(StartFailure failure, string message) => new(null, failure, message);
}

/// <summary>How a process ended.</summary>
/// <param name="Code">The exit code; 128 plus the signal's number if a signal ended it, as shells say it.</param>
internal readonly record struct ProcessExit(int Code)
{
    /// <summary>The signal, or null. A program that itself exits with 129 to 192 is taken to mean the same, which is what such codes are for.</summary>
    public int? Signal => Code is > 128 and <= 192 ? Code - 128 : null;

    public override string ToString() => Signal switch
    {
        null => $"code {Code}",
        9 => "signal 9 (SIGKILL)",
        6 => "signal 6 (SIGABRT)",
        11 => "signal 11 (SIGSEGV)",
        15 => "signal 15 (SIGTERM)",
        { } other => $"signal {other}",
    };
}
