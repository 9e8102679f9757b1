using System.CommandLine;
using System.Net.Sockets;
using Mooring.Configuration;
using Mooring.Connectors;
using Mooring.Drain;
using Mooring.Host.Lifetime;
using Mooring.Host.Listening;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Host.Cli;

/// <summary><c>mooring run</c>: the gateway, from configuration to exit code.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var file = CommonOptions.Config();
        var data = CommonOptions.Data();
        var urls = new Option<string?>("--urls")
        {
            Description = "Addresses to listen on, separated by commas; instead of \"listen\" in the file.",
            HelpName = "URL[,URL]",
        };
        var command = new Command("run", "Runs the gateway until it is told to stop.") { file, urls, data };
        command.SetAction((parsed, cancel) => RunAsync(
            parsed.GetValue(file),
            new ConfigLoadOptions
            {
                Urls = parsed.GetValue(urls)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
                DataDirectory = parsed.GetValue(data),
                CheckConnector = ConnectorFactory.Validate,
                CheckVault = VaultFiles.Problems,
            },
            parsed.InvocationConfiguration.Output,
            parsed.InvocationConfiguration.Error,
            cancel));
        return command;
    }

    private static async Task<int> RunAsync(
        string? file, ConfigLoadOptions options, TextWriter output, TextWriter error, CancellationToken cancel)
    {
        var environment = ConfigLoader.ProcessEnvironment();
        ConfigResult Load(string? inForce) => ConfigLoader.Load(inForce ?? file, environment, options);
        var result = Load(inForce: null);
        ConfigReport.Problems(result, error);
        if (result.Config is not { } config)
        {
            return ExitCodes.Usage;
        }

        if (DataDirectoryProblem(config, result.DataDirectory) is { } problem)
        {
            error.WriteLine($"mooring: {problem}");
            return ExitCodes.Usage;
        }

        SocketCompletions.ReportInPlace();
        if (OpenFileLimit.Raise(config.Limits) is { } tooFew)
        {
            error.WriteLine($"warning: {tooFew}");
        }

        var store = new ConfigStore(config, result.DataDirectory);
        await using var app = GatewayHost.Build(store, result, Load);
        try
        {
            await app.StartAsync(cancel);
        }
        catch (VaultKeyException e)
        {
            error.WriteLine($"mooring: {e.Message}");
            return ExitCodes.Usage;
        }
        catch (Exception e) when (StartProblem(e) is not null)
        {
            error.WriteLine($"mooring: {StartProblem(e)}");
            return ExitCodes.Unreachable;
        }

        StartScreen.Write(output, result, ListeningAddresses.Of(app), TimeoutChain.Of(config, result.OriginOf, environment));
        await app.WaitForShutdownAsync(cancel);
        if (app.Services.GetRequiredService<Readiness>().Failure is { } failure)
        {
            error.WriteLine($"mooring: {failure}");
            return ExitCodes.Usage;
        }

        return ExitCodes.Fine;
    }

    /// <summary>Null when the directory is there and can be written to.</summary>
    private static string? DataDirectoryProblem(MooringConfig config, string directory)
    {
        if (config.Store.Kind != StoreKind.Sqlite)
        {
            return null;
        }

        try
        {
            Directory.CreateDirectory(directory);
            // Rights say little (read-only mounts, root): writing tells.
            var probe = Path.Combine(directory, $".probe-{Environment.ProcessId}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"the data directory {directory} cannot be written to ({e.Message}); name another one with --data, MOORING_DATA or store.directory.";
        }
    }

    /// <summary>One line for failures that are about the surroundings; null for all others, which are bugs and keep their trace.</summary>
    private static string? StartProblem(Exception e) => e switch
    {
        StoreException => e.Message,
        IOException { InnerException: Microsoft.AspNetCore.Connections.AddressInUseException } =>
            $"{e.Message.TrimEnd('.')}; stop the other program or choose another port with --urls.",
        SocketException { SocketErrorCode: SocketError.AccessDenied } =>
            $"cannot listen: {e.Message}. Ports below 1024 may need more rights.",
        SocketException => $"cannot listen: {e.Message}.",
        IOException { InnerException: SocketException inner } => $"{e.Message.TrimEnd('.')}: {inner.Message}.",
        AggregateException { InnerExceptions: [var only] } => StartProblem(only),
        _ => null,
    };
}
