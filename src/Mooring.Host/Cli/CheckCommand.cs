using System.CommandLine;
using Mooring.Configuration;
using Mooring.Connectors;
using Mooring.Vault;

namespace Mooring.Host.Cli;

/// <summary><c>mooring check</c>: says everything that is wrong with the configuration and starts nothing.</summary>
internal static class CheckCommand
{
    public static Command Create()
    {
        var file = CommonOptions.Config();
        var command = new Command("check", "Validates the configuration, prints every problem at once, starts nothing.") { file };
        command.SetAction(parsed =>
        {
            var environment = ConfigLoader.ProcessEnvironment();
            var result = ConfigLoader.Load(parsed.GetValue(file), environment, new() { CheckConnector = ConnectorFactory.Validate, CheckVault = VaultFiles.Problems });
            var output = parsed.InvocationConfiguration.Output;
            ConfigReport.Problems(result, parsed.InvocationConfiguration.Error);
            if (result.Config is not { } config)
            {
                return ExitCodes.Usage;
            }

            foreach (var warning in TimeoutChain.Of(config, result.OriginOf, environment).Warnings)
            {
                parsed.InvocationConfiguration.Error.WriteLine($"warning: {warning}");
            }

            foreach (var note in result.Notes)
            {
                output.WriteLine(note);
            }

            foreach (var server in config.Servers.Where(server => !server.Disabled && server.Slug != server.Name))
            {
                output.WriteLine($"The server \"{server.Name}\" is called {server.Slug} in addresses (/servers/{server.Slug}/mcp) and names.");
            }

            output.WriteLine($"{result.File ?? "The configuration (no file)"} is fine. It serves {StartScreen.Serving(config)}.");
            return ExitCodes.Fine;
        });
        return command;
    }
}
