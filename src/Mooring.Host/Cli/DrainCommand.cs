using System.CommandLine;
using System.Net.Http.Headers;
using System.Net.Security;
using Mooring.Configuration;

namespace Mooring.Host.Cli;

/// <summary><c>mooring drain</c>: has a running gateway drain and stays until that is over.</summary>
internal static class DrainCommand
{
    public static Command Create()
    {
        var file = CommonOptions.Config();
        var url = new Option<string?>("--url")
        {
            Description = "The gateway, by a loopback address. Default: the address that the configuration listens on, else http://127.0.0.1:3000.",
            HelpName = "URL",
        };
        var command = new Command(
            "drain",
            "Drains a running gateway on this machine and shows the progress: unready but serving, streams sent away, calls finished. The gateway then stays "
            + "up, refusing work, until it gets its signal, which ends it at once. Ends with 0, 1 if calls were cut off, 3 if the gateway cannot be reached. Where auth.mode is not none, MOORING_TOKEN must hold a token with the scope admin.")
        {
            url, file,
        };
        command.SetAction((parsed, cancel) => RunAsync(
            parsed.GetValue(url), parsed.GetValue(file), parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error, cancel));
        return command;
    }

    private static async Task<int> RunAsync(string? url, string? file, TextWriter output, TextWriter error, CancellationToken cancel)
    {
        if (Find(url, file, error) is not { } address)
        {
            return ExitCodes.Usage;
        }

        // Time limits are the watch's, for each thing it waits for.
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        // The certificate is for the gateway's public name; between here and here nobody else's machine stands.
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, _, _, errors) => errors == SslPolicyErrors.None || address.IsLoopback,
        };

        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        if (Environment.GetEnvironmentVariable(EnvironmentOverrides.Token) is { Length: > 0 } token)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token.Trim());
        }

        return await new DrainWatch(http, address, TimeProvider.System, output, error).RunAsync(cancel);
    }

    private static Uri? Find(string? url, string? file, TextWriter error)
    {
        if (url is not null)
        {
            if (GatewayAddress.TryParse(url, out var given))
            {
                return given;
            }

            error.WriteLine($"mooring: --url must be an address such as http://127.0.0.1:3000, not \"{url}\".");
            return null;
        }

        var result = ConfigLoader.Load(file, ConfigLoader.ProcessEnvironment());
        if (result.Config is not { } config)
        {
            ConfigReport.Problems(result, error);
            error.WriteLine("mooring: where the gateway listens is not known from that; name it with --url.");
            return null;
        }

        if (GatewayAddress.Of(config) is { } address)
        {
            return address;
        }

        error.WriteLine("mooring: the configuration leaves the port to the system; name the gateway with --url.");
        return null;
    }
}
