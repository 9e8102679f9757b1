using Mooring.Host.Cli;

var parsed = CommandLine.Create().Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        Console.Error.WriteLine($"mooring: {error.Message}");
    }

    Console.Error.WriteLine("See mooring --help.");
    return ExitCodes.Usage;
}

// Signals belong to the gateway's own lifetime, and exceptions here are bugs that want their trace.
return await parsed.InvokeAsync(new() { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
