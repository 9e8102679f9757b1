using Microsoft.AspNetCore.HttpOverrides;
using Mooring.Configuration;
using Mooring.Connectors;
using Mooring.Host.Lifetime;
using Mooring.Host.Listening;
using Mooring.Streams;

namespace Mooring.Host;

/// <summary>Puts the web application together: logging, listening, lifetime, reload, and the gateway itself.</summary>
internal static class GatewayHost
{
    /// <summary>For what is still open after the drain; by then only connections are left that nobody waits for.</summary>
    private static readonly TimeSpan AbortAfter = TimeSpan.FromSeconds(5);

    public static WebApplication Build(ConfigStore store, ConfigResult result, Func<string?, ConfigResult> reload)
    {
        // Empty: no appsettings.json, no ASPNETCORE_ variables; everything is in the one configuration, and the start is fast.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "mooring" });
        WebApplication? built = null;
        LogSetup.Apply(builder.Logging, store, () => built?.Lifetime.ApplicationStarted.IsCancellationRequested == true);
        builder.Services.AddRouting();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = AbortAfter);
        builder.Services.AddSingleton<IHostLifetime, SignalLifetime>();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<IHeartbeatHandler, QuietCollection>();
        builder.Services.AddHostedService<UnobservedFailures>();
        builder.Services.AddHostedService(services => new ConfigWatcher(
            store, result, reload, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<ConfigWatcher>>()));
        KestrelSetup.Apply(builder, result.Config!);
        builder.Services.AddMooring(store);
        builder.Services.AddMooringConnectors();
        var baseDirectory = Path.GetDirectoryName(result.File) ?? Directory.GetCurrentDirectory();
        foreach (var connector in result.Config!.Connectors)
        {
            builder.Services.AddSingleton(services =>
                services.GetRequiredService<ConnectorFactory>().Create(connector.Name, connector.Settings, baseDirectory));
        }

        var app = built = builder.Build();
        app.Use(InPlace.Middleware);
        UseTrustedProxies(app, result.Config!);
        app.MapMooring();
        return app;
    }

    private static void UseTrustedProxies(WebApplication app, MooringConfig config)
    {
        if (config.TrustedProxies.Count == 0)
        {
            return;
        }

        // No limit to the number of proxies: each hop is believed only while it is in a trusted network.
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.All, ForwardLimit = null };
        options.KnownIPNetworks.Clear();
        options.KnownProxies.Clear();
        foreach (var text in config.TrustedProxies)
        {
            if (System.Net.IPNetwork.TryParse(text, out var network))
            {
                options.KnownIPNetworks.Add(network);
            }
            else
            {
                options.KnownProxies.Add(System.Net.IPAddress.Parse(text));
            }
        }

        app.UseForwardedHeaders(options);
    }
}
