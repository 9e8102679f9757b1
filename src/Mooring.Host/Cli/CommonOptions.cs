using System.CommandLine;

namespace Mooring.Host.Cli;

/// <summary>Options that several verbs share.</summary>
internal static class CommonOptions
{
    public static Option<string?> Config() => new("--config")
    {
        Description = "The configuration file. Default: MOORING_CONFIG, else mooring.json in the working directory if it is there.",
        HelpName = "FILE",
    };

    public static Option<string?> Data() => new("--data")
    {
        Description = "Directory for everything that must outlive the process. Default: MOORING_DATA, else store.directory, else .mooring in the checkout or the data directory of the user.",
        HelpName = "DIR",
    };
}
